// Bundles src/ into ../static and writes down the hash of what it was made from (tests/bot/playground/test_bundle.py).
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const out = new URL("../static/", import.meta.url).pathname;
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

await build({
  entryPoints: { app: "src/main.jsx" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  loader: { ".woff2": "file", ".woff": "empty" },
  assetNames: "[name]",
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "linked",
  logLevel: "info",
});
for (const name of ["index.html", "icon.svg"]) copyFileSync(`src/${name}`, out + name);

const sources = ["package.json", "package-lock.json", "build.mjs", ...readdirSync("src").map((n) => `src/${n}`)].sort();
const hash = createHash("sha256");
for (const name of sources) hash.update(name + "\0").update(readFileSync(name)).update("\0");
const made = Object.fromEntries(
  readdirSync(out).sort().map((n) => [n, createHash("sha256").update(readFileSync(out + n)).digest("hex")]),
);
writeFileSync(out + "bundle.json", JSON.stringify({ sources: hash.digest("hex"), files: made }, null, 1) + "\n");
