// Workflows and actions, read by GitHub's own language service: every diagnostic is printed, and any makes it fail.
//
//   node check_workflows.mjs FILE...      from the folder that make files bundles it in
import { readFileSync } from "node:fs";
import { validate } from "@actions/languageservice";
import { TextDocument } from "vscode-languageserver-textdocument";

const LEVEL = ["", "error", "warning", "information", "hint"];
let found = 0;
for (const path of process.argv.slice(2)) {
  const uri = `file://${path.startsWith("/") ? "" : "/"}${path}`;
  const text = TextDocument.create(uri, "yaml", 1, readFileSync(path, "utf8"));
  for (const diagnostic of await validate(text)) {
    found += 1;
    const { line, character } = diagnostic.range.start;
    console.log(`${path}:${line + 1}:${character + 1}: ${LEVEL[diagnostic.severity ?? 1]}: ${diagnostic.message}`);
  }
}
console.log(`${process.argv.length - 2} files, ${found} diagnostics`);
process.exit(found || process.argv.length < 3 ? 1 : 0);
