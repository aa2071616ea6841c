// Shows /openapi.json: operations by group, each with parameters, bodies and answers, and a way to try it.
//
// Elements are made one by one and texts are set as texts: nothing of the document is ever read as HTML.

import { element, prose, shape } from "/docs/schema.js";
import { attempt } from "/docs/call.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

function paragraphs(text) {
  return text.split("\n\n").map((part) => prose(part));
}

function permissions(operation) {
  const needs = operation.security ?? [];
  if (needs.length === 0) return "Everybody may.";
  const open = needs.some((one) => Object.keys(one).length === 0);
  const names = needs.flatMap((one) => one.bearer ?? []).map((name) => `\`${name}\``);
  const who = names.length ? `a token with ${names.join(" or ")}` : "a token";
  return open ? `Everybody may; ${who} shows more.` : `Needs ${who}${needs.some((one) => one.ticket) ? ", or a ticket" : ""}.`;
}

function parameters(api, operation) {
  const list = operation.parameters ?? [];
  if (list.length === 0) return [];
  const rows = list.map((one) =>
    element("tr", {}, element("td", {}, element("code", {}, one.name), one.required ? " *" : ""),
      element("td", {}, one.in), element("td", {}, shape(api, one.schema)), prose(one.description ?? "", "td")));
  const names = ["Name", "In", "Type", "Meaning"].map((name) => element("th", { scope: "col" }, name));
  return [element("h3", {}, "Parameters"),
    element("table", {}, element("thead", {}, element("tr", {}, ...names)), element("tbody", {}, ...rows))];
}

function contents(api, content) {
  return Object.entries(content ?? {}).flatMap(([kind, { schema }]) => [
    element("p", { class: "quiet" }, kind), schema ? shape(api, schema) : ""]);
}

function answers(api, operation) {
  return Object.entries(operation.responses).map(([status, found]) => {
    const answer = found.$ref ? api.components.responses[found.$ref.split("/").pop()] : found;
    const told = prose(answer.description, "span");
    const head = element("summary", {}, element("strong", {}, status), " ", told);
    return element("details", {}, head, ...contents(api, answer.content));
  });
}

function body(api, path, method, operation) {
  const request = operation.requestBody;
  return element("div", {},
    ...paragraphs(operation.description ?? ""),
    prose(permissions(operation)),
    ...parameters(api, operation),
    ...(request ? [element("h3", {}, "Body"), ...contents(api, request.content)] : []),
    element("h3", {}, "Answers"), ...answers(api, operation),
    ...attempt(api, path, method, operation));
}

function shown(api, path, method, operation) {
  const head = element("summary", {}, element("span", { class: `method ${method}` }, method.toUpperCase()),
    element("span", { class: "path" }, path), prose(operation.summary ?? "", "span"));
  const details = element("details", { class: "operation", id: operation.operationId }, head);
  details.dataset.words = `${method} ${path} ${operation.summary ?? ""}`.toLowerCase();
  // What is inside is made when it is first wanted.
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(body(api, path, method, operation));
  });
  return details;
}

function operations(api, tag) {
  return Object.entries(api.paths).flatMap(([path, item]) => METHODS
    .filter((method) => item[method]?.tags?.includes(tag))
    .map((method) => shown(api, path, method, item[method])));
}

function section(api, { name, description }) {
  const title = element("h2", { id: `group-${name}` }, `${name} `, element("span", { class: "quiet" }, description ?? ""));
  return element("section", { "aria-labelledby": `group-${name}` }, title, ...operations(api, name));
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const one of document.querySelectorAll("details.operation")) {
    one.hidden = !words.every((word) => one.dataset.words.includes(word));
  }
  for (const one of document.querySelectorAll("main section")) {
    one.hidden = !one.querySelector("details.operation:not([hidden])");
  }
}

/** Opens the operation that the address names. */
function follow() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named?.matches("details.operation")) {
    named.open = true;
    named.scrollIntoView();
    named.querySelector("summary").focus();
  }
}

async function start() {
  const state = document.getElementById("state");
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const api = await answer.json();
    document.getElementById("version").textContent = `${api.info.version}, OpenAPI ${api.openapi}`;
    document.getElementById("about").append(...paragraphs(api.info.description ?? ""));
    document.getElementById("operations").append(...api.tags.map((tag) => section(api, tag)));
    document.getElementById("groups").append(...api.tags.map(({ name }) =>
      element("li", {}, element("a", { href: `#group-${name}` }, name))));
    // Browsers want a secret field in a form; this one is sent nowhere.
    document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
    const box = document.getElementById("filter");
    box.addEventListener("input", () => filter(box.value));
    window.addEventListener("hashchange", follow);
    state.remove();
    follow();
  } catch (error) {
    state.textContent = `The document cannot be read: ${error.message}`;
  }
}

start();
