"""Between the two forms of a workflow: the editor's (nodes, links, positions) and the API's (inputs by name)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

# Types that the editor shows as a widget; a list of options is a combo.
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
NOTES = {"Note", "MarkdownNote"}
BYPASSED, MUTED = 4, 2
COLUMN, ROW, WIDTH = 380, 60, 320


@dataclass(frozen=True)
class Placed:
    """One node as a workflow's author writes it: a link is `("name of node", output number)`."""

    kind: str
    inputs: dict[str, Any]
    column: int
    row: int = 0
    height: int = 180
    title: str = ""


@dataclass(frozen=True)
class Group:
    """A titled frame around nodes."""

    title: str
    members: tuple[str, ...]
    color: str = "#3f789e"


@dataclass(frozen=True)
class Workflow:
    """A workflow as its author writes it; `note` is shown beside it as Markdown."""

    nodes: dict[str, Placed]
    groups: tuple[Group, ...] = ()
    note: str = ""
    values: dict[str, Any] = field(default_factory=dict)


def widgets(info: dict[str, Any]) -> list[tuple[str, bool]]:
    """Names of a node's widget inputs in order, and whether the editor adds a control value after each."""
    found = []
    for section in ("required", "optional"):
        for name, spec in info["input"].get(section, {}).items():
            options = spec[1] if len(spec) > 1 else {}
            if (isinstance(spec[0], list) or spec[0] in WIDGETS) and not options.get("forceInput"):
                # The editor adds one to a seed also where the node leaves it open.
                seed = spec[0] == "INT" and name in ("seed", "noise_seed")
                found.append((name, bool(options.get("control_after_generate", seed))))
    return found


def to_api(workflow: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """The API form of an editor workflow. Raises ValueError for nodes that the host does not have."""
    links = {link[0]: (str(link[1]), link[2]) for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in NOTES or node.get("mode") in (BYPASSED, MUTED):
            continue
        if node["type"] not in object_info:
            raise ValueError(f"The host has no node {node['type']!r}: is its pack installed?")
        prompt[str(node["id"])] = {
            "class_type": node["type"],
            "inputs": _inputs(node, object_info[node["type"]], links),
        }
    return prompt


def to_editor(workflow: Workflow, object_info: dict[str, Any]) -> dict[str, Any]:
    """The editor's form of a workflow, laid out in columns."""
    numbers = {name: index for index, name in enumerate(workflow.nodes, start=1)}
    nodes, links = [], []
    for name, placed in workflow.nodes.items():
        nodes.append(_editor_node(numbers, name, placed, object_info[placed.kind], links))
    for link in links:
        source = nodes[link[1] - 1]["outputs"][link[2]]
        source["links"].append(link[0])
        link[5] = source["type"]
    if workflow.note:
        nodes.append(_note(len(nodes) + 1, workflow.note))
    return {
        "last_node_id": len(nodes), "last_link_id": len(links), "nodes": nodes, "links": links,
        "groups": [_group(group, numbers, nodes) for group in workflow.groups],
        "config": {}, "extra": {"ds": {"scale": 0.7, "offset": [120, 430]}}, "version": 0.4,
    }  # fmt: skip


def as_json(data: Any) -> str:
    """The one form of the files that are written for the editor."""
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def set_value(workflow: dict[str, Any], object_info: dict[str, Any], kind: str, name: str, value: Any) -> None:
    """Change a widget of the only node of `kind` in an editor workflow."""
    node = next(node for node in workflow["nodes"] if node["type"] == kind)
    position = 0
    for widget, controlled in widgets(object_info[kind]):
        if widget == name:
            node["widgets_values"][position] = value
            return
        position += 1 + controlled
    raise ValueError(f"{kind} has no widget {name!r}.")


def _inputs(node: dict[str, Any], info: dict[str, Any], links: dict[int, tuple[str, int]]) -> dict[str, Any]:
    values, position = {}, 0
    stored = node.get("widgets_values") or []
    for name, controlled in widgets(info):
        if position < len(stored):
            values[name] = stored[position]
        position += 1 + controlled
    for entry in node.get("inputs", []):
        if entry.get("link") is not None:
            values[entry["name"]] = list(links[entry["link"]])
    return values


def _editor_node(
    numbers: dict[str, int], name: str, placed: Placed, info: dict[str, Any], links: list[list[Any]]
) -> dict[str, Any]:
    number, inputs, values = numbers[name], [], []
    shown = dict(widgets(info))
    for section in ("required", "optional"):
        for key, spec in info["input"].get(section, {}).items():
            given = placed.inputs.get(key)
            link = None
            if isinstance(given, tuple):
                link = len(links) + 1
                links.append([link, numbers[given[0]], given[1], number, len(inputs), "*"])
            kind = "COMBO" if isinstance(spec[0], list) else spec[0]
            entry = {"name": key, "type": kind, "link": link}
            if key in shown:
                entry["widget"] = {"name": key}
            elif section == "optional":
                entry["shape"] = 7
            inputs.append(entry)
            if key in shown:
                options = spec[1] if len(spec) > 1 else {}
                fallback = spec[0][0] if isinstance(spec[0], list) and spec[0] else None
                choice = options["options"][0] if options.get("options") else fallback
                values.append(options.get("default", choice) if given is None or link else given)
                values += ["fixed"] if shown[key] else []
    outputs = [
        {"name": label, "type": kind, "links": [], "slot_index": slot}
        for slot, (label, kind) in enumerate(zip(info["output_name"], info["output"], strict=True))
    ]
    node = {
        "id": number, "type": placed.kind, "pos": [placed.column * COLUMN, placed.row * ROW],
        "size": [WIDTH, placed.height], "flags": {}, "order": number - 1, "mode": 0, "inputs": inputs,
        "outputs": outputs, "properties": {"Node name for S&R": placed.kind}, "widgets_values": values,
    }  # fmt: skip
    return {**node, "title": placed.title} if placed.title else node


def _note(number: int, text: str) -> dict[str, Any]:
    return {
        "id": number, "type": "MarkdownNote", "pos": [0, -300], "size": [700, 220], "flags": {}, "order": number - 1,
        "mode": 0, "inputs": [], "outputs": [], "properties": {}, "widgets_values": [text], "color": "#432",
        "bgcolor": "#653",
    }  # fmt: skip


def _group(group: Group, numbers: dict[str, int], nodes: list[dict[str, Any]]) -> dict[str, Any]:
    members = [nodes[numbers[name] - 1] for name in group.members]
    left, top = (min(node["pos"][axis] for node in members) for axis in (0, 1))
    right, bottom = (max(node["pos"][axis] + node["size"][axis] for node in members) for axis in (0, 1))
    bounding = [left - 20, top - 80, right - left + 40, bottom - top + 100]
    return {"title": group.title, "bounding": bounding, "color": group.color, "font_size": 24, "flags": {}}
