// The note on a node without a browser: what a run says, what stays, and who can read it.
//   node tests/web/note.mjs
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

class Element {
  constructor() {
    Object.assign(this, { textContent: "", style: {}, attributes: {}, heard: {}, scrollHeight: 10, clientHeight: 20 });
  }
  setAttribute(name, value) { this.attributes[name] = value; }
  addEventListener(kind, heard) { this.heard[kind] = heard; }
}

// As the editor's own: the value is what the options say that it is.
class Node {
  constructor() {
    this.size = [100, 50];
  }
  addDOMWidget(name, type, element, options) {
    const widget = { name, type, element, options };
    Object.defineProperty(widget, "value", { get: options.getValue, set: options.setValue });
    (this.widgets ??= []).push(widget);
    return widget;
  }
  computeSize() { return [80, 120]; }
  setSize(size) { this.size = size; }
}

const zoomed = [], extensions = [];
globalThis.document = { createElement: () => new Element() };
globalThis.app = {
  registerExtension: (extension) => extensions.push(extension),
  canvas: { processMouseWheel: (event) => zoomed.push(event) },
};
const source = await readFile(new URL("../../web/js/node_text.js", import.meta.url), "utf-8");
const imports = source.match(/^import .*$/gm);
assert.deepEqual(imports, ['import { app } from "../../../scripts/app.js";'], "only the public module of the editor");
await import(`data:text/javascript,${encodeURIComponent(source.replace(imports[0], ""))}`);

function kind(name) {
  class Kind extends Node {}
  Kind.prototype.onExecuted = function () { this.before = (this.before ?? 0) + 1; };
  extensions[0].beforeRegisterNodeDef(Kind, { name });
  return new Kind();
}

const node = kind("KinetophoneSave");
for (const output of [undefined, null, {}, { text: [] }, { text: [""] }, { images: [{}] }, { text: "as it is" }])
  node.onExecuted(output);
assert.equal(node.widgets, undefined, "nothing is made where there is nothing to say");
assert.equal(node.before, 7, "what the node did before is still done");

node.onExecuted({ text: ["Signed.", "Kept."] });
const [note] = node.widgets;
assert.equal(note.value, "Signed.\nKept.");
assert.deepEqual([note.name, note.serialize, note.options.serialize], ["kinetophone_note", false, false]);
assert.deepEqual(node.size, [100, 120], "the node grows to show it");
const { attributes, style, tabIndex } = note.element;
assert.equal(attributes.role, "status");
assert.ok(attributes["aria-label"] && !attributes["aria-label"].includes("_"));
assert.ok(tabIndex === 0 && style.opacity === undefined && note.element.placeholder === undefined);

for (const output of [{ text: [""] }, {}, undefined]) {
  node.onExecuted({ text: ["Signed."] });
  assert.equal(note.value, "Signed.");
  node.onExecuted(output);
  assert.equal(note.value, "", "an old note does not stay");
}
assert.equal(node.widgets.length, 1);
assert.notEqual(kind("KinetophoneSave").widgets, node.widgets);

const event = (more = {}) => ({ ...more, stopped: 0, prevented: 0,
  stopPropagation() { this.stopped += 1; }, preventDefault() { this.prevented += 1; } });
const told = (kind, more) => { const made = event(more); note.element.heard[kind](made); return made; };
assert.equal(told("copy").stopped, 1);
assert.equal(told("keydown", { key: "Delete" }).stopped, 1);
assert.equal(told("keydown", { key: "Enter", ctrlKey: true }).stopped, 0);
assert.equal(told("wheel").prevented, 1);
note.element.scrollHeight = 30;
assert.equal(told("wheel").prevented, 0);
assert.equal(told("wheel", { ctrlKey: true }).prevented, 1);
assert.equal(zoomed.length, 2);

assert.equal(extensions.length, 1);
const foreign = kind("KSampler");
foreign.onExecuted({ text: ["no note"] });
assert.equal(foreign.widgets, undefined, "nodes of others are left alone");
