// Open the editor with the pack loaded, load a template, drop a video on it, and take pictures.
//   node tests/web/editor.mjs URL VIDEO FOLDER      (needs playwright-core and Chromium)
import { readFile } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";

const [url, video, folder] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: { width: 1920, height: 1000 } });
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
await page.goto(url);
await page.waitForFunction(() => window.app?.graph !== undefined && window.app?.extensionManager, null, { timeout: 60000 });
await page.waitForTimeout(4000);

const shot = (name) => page.screenshot({ path: path.join(folder, `${name}.png`) });
const kinds = () => page.evaluate(() => window.app.graph._nodes.map((node) => node.type).sort());

const templates = await page.evaluate(async () => (await fetch("/api/workflow_templates")).json());
const [pack, names] = Object.entries(templates).find(([, list]) => list.includes("01_text_to_video")) ?? [];
if (!pack) throw new Error(`The pack's workflows are not among the templates: ${JSON.stringify(templates)}`);
for (const name of names) {
  const missing = await page.evaluate(async ([pack, name]) => {
    const workflow = await (await fetch(`/api/workflow_templates/${pack}/${name}.json`)).json();
    await window.app.loadGraphData(workflow);
    return window.app.graph._nodes.filter((node) => !window.LiteGraph.registered_node_types[node.type]).map((node) => node.type);
  }, [pack, name]);
  if (missing.length) throw new Error(`${name}: the editor does not know ${missing}`);
  await page.waitForTimeout(1500);
  await shot(name);
}

// A run says on the nodes what it changed and found, and that is no part of the workflow.
await page.evaluate(async (pack) => {
  const workflow = await (await fetch(`/api/workflow_templates/${pack}/04_recaption.json`)).json();
  await window.app.loadGraphData(workflow);
  await window.app.queuePrompt(0, 1);
}, pack);
await page.waitForFunction(
  () => window.app.graph._nodes.some(
    (node) => node.type === "KinetophoneTextEncode" && node.widgets.some((widget) => widget.name === "kinetophone_note"),
  ),
  null, { timeout: 120000 },
);
const said = await page.evaluate(() => Object.fromEntries(window.app.graph._nodes.flatMap((node) =>
  (node.widgets ?? []).filter((w) => w.name === "kinetophone_note").map((w) => [node.type, w.value]))));
for (const kind of ["KinetophoneEmptyLatent", "KinetophoneRecaption", "KinetophoneScreenplayEdit", "KinetophoneTextEncode"])
  if (!said[kind]) throw new Error(`${kind} says nothing: ${JSON.stringify(said)}`);
const stored = await page.evaluate(() => JSON.stringify(window.app.graph.serialize()));
if (stored.includes(said.KinetophoneEmptyLatent.split("\n")[0])) throw new Error("A node's note went into the workflow.");
await page.evaluate(() => {
  const node = window.app.graph._nodes.find((candidate) => candidate.type === "KinetophoneTextEncode");
  const note = node.widgets.find((widget) => widget.name === "kinetophone_note");
  if (note.element.getAttribute("role") !== "status" || !note.element.getAttribute("aria-label"))
    throw new Error("A screen reader cannot tell what the note is.");
  if (!note.element.isConnected || note.element.getBoundingClientRect().height < 20) throw new Error("The note is not shown.");
  const text = note.value;
  node.onExecuted({ text: [""] });
  if (note.value !== "") throw new Error("An old note stays where a run has nothing to say.");
  node.onExecuted({ text: [text] });
});
await shot("said");

await page.evaluate(() => window.app.graph.clear());
const data = [...(await readFile(video))];
await page.evaluate(async (bytes) => {
  await window.app.handleFile(new File([new Uint8Array(bytes)], "video.mp4", { type: "video/mp4" }));
}, data);
await page.waitForTimeout(2000);
const restored = await kinds();
await shot("restored");
if (!restored.includes("KinetophoneSampler")) throw new Error(`Dropping the video restored ${JSON.stringify(restored)}`);

const prompt = await page.evaluate(async () => Object.values((await window.app.graphToPrompt()).output).map((n) => n.class_type));
const help = await page.evaluate(async (pack) => (await fetch(`/extensions/${pack}/docs/KinetophoneSampler.md`)).text(), pack);
if (!help.startsWith("# Sampler")) throw new Error("The help page is not served.");
console.log(JSON.stringify({ pack, names, restored, prompt: prompt.length, errors }));
await browser.close();
