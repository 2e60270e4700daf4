// Pictures of pages, by the system's Chromium or Chrome: node shoot.mjs < shots.json
//
// A shot is {url, path, width, height, dark, full}. Any request to another host than the page's own fails it.
import { existsSync, readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const shots = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({
  executablePath: ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync),
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"],
});
let wrong = 0;
for (const shot of shots) {
  const page = await browser.newPage({
    viewport: { width: shot.width, height: shot.height },
    colorScheme: shot.dark ? "dark" : "light",
    deviceScaleFactor: shot.scale ?? 1,
  });
  const own = new URL(shot.url);
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== own.protocol || url.host !== own.host) {
      wrong += 1;
      console.log(`${shot.path}: asks for ${url.origin}`);
    }
  });
  page.on("console", (message) => {
    if (message.type() === "error") {
      wrong += 1;
      console.log(`${shot.path}: ${message.text()}`);
    }
  });
  await page.goto(shot.url, { waitUntil: "load" });
  await page.screenshot({ path: shot.path, fullPage: shot.full ?? false });
  await page.close();
}
await browser.close();
console.log(`${shots.length} pictures, ${wrong} complaints`);
process.exit(wrong ? 1 : 0);
