// Tries an operation: fields for its parameters, a body to begin with, and the answer as it came.

import { element, example } from "/docs/schema.js";

let fields = 0;

/** A field with its label. */
function field(label, input) {
  fields += 1;
  input.id = `field-${fields}`;
  return element("div", { class: "field" }, element("label", { for: input.id }, label), input);
}

function input(api, { name, required, schema, in: place }) {
  const choices = schema?.enum;
  if (!choices) {
    const made = element("input", { type: "text", autocomplete: "off", spellcheck: "false" });
    if (required && place === "path") made.value = String(example(api, schema) ?? "");
    made.required = Boolean(required);
    return { name, place, made };
  }
  const options = (required ? choices : ["", ...choices]).map((one) => element("option", {}, one));
  return { name, place, made: element("select", {}, ...options) };
}

/** The address, headers and body of a call. */
function request(path, method, inputs, body) {
  let address = path;
  const query = new URLSearchParams();
  const headers = new Headers({ accept: "*/*" });
  for (const { name, place, made } of inputs) {
    if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(made.value));
    else if (made.value && place === "query") query.append(name, made.value);
    else if (made.value && place === "header") headers.set(name, made.value);
  }
  const token = document.getElementById("token").value.trim();
  if (token) headers.set("authorization", `Bearer ${token}`);
  if (body) headers.set("content-type", body.kind);
  const options = { method: method.toUpperCase(), headers, body: body?.box.value, cache: "no-store" };
  return [query.size ? `${address}?${query}` : address, options];
}

function bodyOf(api, operation) {
  const content = Object.entries(operation.requestBody?.content ?? {})[0];
  if (!content) return null;
  const [kind, { schema }] = content;
  const box = element("textarea", { spellcheck: "false" });
  const value = example(api, schema);
  box.value = kind === "application/json" ? JSON.stringify(value, null, 2) : new URLSearchParams(value).toString();
  return { kind, box };
}

function pretty(text, kind) {
  try {
    return kind.includes("json") && !kind.includes("ndjson") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  } catch {
    return text;
  }
}

/** Shows an answer, and offers a token that it may hold. */
async function show(answer, begun, output) {
  const text = await answer.text();
  const took = Math.round(performance.now() - begun);
  const head = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  output.replaceChildren(
    element("p", {}, element("strong", {}, String(answer.status)), ` ${answer.statusText}, ${took} ms`),
    element("details", {}, element("summary", {}, "Headers"), element("pre", {}, head)),
    element("pre", { tabindex: "0" }, pretty(text, answer.headers.get("content-type") ?? "") || "(no body)"));
  const token = answer.ok && text.includes("access_token") ? JSON.parse(text).access_token : null;
  if (!token) return;
  const use = element("button", { type: "button" }, "Use this token");
  use.addEventListener("click", () => {
    document.getElementById("token").value = token;
    use.textContent = "It is used from now on";
  });
  output.append(use);
}

/** Heading, fields and button of an operation; nothing for a WebSocket, which is no request. */
export function attempt(api, path, method, operation) {
  if (operation.responses["101"]) return [];
  const inputs = (operation.parameters ?? []).map((one) => input(api, one));
  const body = bodyOf(api, operation);
  const output = element("div", { role: "status", "aria-live": "polite" });
  const send = element("button", { type: "button" }, `Send ${method.toUpperCase()}`);
  send.addEventListener("click", async () => {
    const [address, options] = request(path, method, inputs, body);
    output.replaceChildren(element("p", {}, "Asking…"));
    try {
      const begun = performance.now();
      await show(await fetch(address, options), begun, output);
    } catch (error) {
      output.replaceChildren(element("p", {}, `No answer: ${error.message}`));
    }
  });
  return [element("h3", {}, "Try it"), ...inputs.map(({ name, made }) => field(name, made)),
    ...(body ? [field(`Body, ${body.kind}`, body.box)] : []), send, output];
}
