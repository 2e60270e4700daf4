// The report's page in Chromium: what it asks for, what it complains of, and what its filters show.
// node page_in_browser.mjs READERS PAGE... -> a JSON list, one entry a page
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
const [readers, ...paths] = process.argv.slice(2);
const { chromium } = createRequire(readers + "/package.json")("playwright-core");

const browser = await chromium.launch({
  executablePath: ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync),
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"],
});
const every = [];
for (const path of paths) every.push(await opened(path));
await browser.close();
console.log(JSON.stringify(every));

async function opened(path) {
  const told = { requests: [], complaints: [], dialogs: 0, shown: {}, colors: {} };
  for (const scheme of ["light", "dark"]) await look(path, scheme, told);
  return told;
}

async function look(path, scheme, told) {
  const page = await browser.newPage({ colorScheme: scheme });
  page.on("request", (request) => told.requests.push(request.url().split("?")[0]));
  page.on("console", (message) => message.type() === "error" && told.complaints.push(message.text()));
  page.on("pageerror", (error) => told.complaints.push(String(error)));
  page.on("dialog", (dialog) => { told.dialogs += 1; dialog.dismiss(); });
  await page.goto(`file://${path}`, { waitUntil: "load" });
  told.colors[scheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  if (scheme === "light") {
    const rows = () => page.$$eval("[data-checks] tbody tr", (all) =>
      all.filter((row) => !row.hidden).map((row) => ({ ...row.dataset })));
    told.shown.all = await rows();
    for (const key of ["status", "dataset", "owner"]) {
      const select = page.locator(`.filters select[aria-label*="${key}" i]`).first();
      if (!(await select.count())) continue;
      const value = await select.locator("option").nth(1).getAttribute("value");
      await select.selectOption(value);
      told.shown[key] = { value, rows: await rows() };
      await select.selectOption({ index: 0 });
    }
    told.shown.again = (await rows()).length;
  }
  await page.close();
}
