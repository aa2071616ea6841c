// Schemas of the document: what a reader sees of them, and an example that keeps to them.

/** An element with attributes and children; texts stay texts. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A text in which `code` is marked up, as the document's descriptions have it. */
export function prose(text, tag = "p") {
  const parts = text.split("`");
  return element(tag, { class: "prose" }, ...parts.map((part, at) => (at % 2 ? element("code", {}, part) : part)));
}

/** The schema itself, and its name if it is a named one. */
function resolved(api, schema) {
  if (!schema.$ref) return { schema, name: null };
  const name = schema.$ref.split("/").pop();
  return { schema: api.components.schemas[name] ?? {}, name };
}

const parts = (schema) => schema.oneOf ?? schema.anyOf ?? null;
const isNull = (schema) => schema.type === "null";

/** A type in words: `string, 1 to 64 characters`. */
function words(api, given) {
  const { schema, name } = resolved(api, given);
  const choice = parts(schema);
  if (choice) {
    return choice.map((one) => (isNull(one) ? "null" : words(api, one))).join(" or ");
  }
  const kinds = [schema.type ?? "any"].flat();
  const kind = schema.items && schema.items !== false ? `list of ${words(api, schema.items)}` : kinds.join(" or ");
  const limits = [
    range(schema.minLength, schema.maxLength, "characters"),
    range(schema.minItems, schema.maxItems, "members"),
    range(schema.minimum, schema.maximum, ""),
    schema.format, schema.enum?.join(" | "),
    schema.default === undefined ? null : `default ${JSON.stringify(schema.default)}`,
  ];
  return [name ? `${name} (${kind})` : kind, ...limits.filter(Boolean)].join(", ");
}

function range(least, most, unit) {
  if (least === undefined && most === undefined) return null;
  if (least === undefined) return `at most ${most} ${unit}`.trim();
  if (most === undefined) return `at least ${least} ${unit}`.trim();
  return `${least} to ${most} ${unit}`.trim();
}

/** The members of an object, through references and lists; null for what has none. */
function members(api, given) {
  const { schema } = resolved(api, given);
  const choice = parts(schema)?.find((one) => !isNull(one));
  if (choice) return members(api, choice);
  if (schema.items) return members(api, schema.items);
  return schema.properties ? schema : null;
}

/** A schema as its reader sees it: its type, what is said of it, and its members below. */
export function shape(api, given, about = "", depth = 0) {
  const box = element("div", { class: "shape" }, element("span", {}, words(api, given)), " ", prose(about, "span"));
  const object = members(api, given);
  if (!object || depth > 6) return box;
  const list = Object.entries(object.properties).map(([name, member]) => {
    const needed = object.required?.includes(name) ? " *" : "";
    const said = member.description ?? resolved(api, member).schema.description ?? "";
    return element("li", {}, element("code", {}, name), `${needed} `, shape(api, member, said, depth + 1));
  });
  box.append(element("ul", { class: "members" }, ...list));
  return box;
}

/** A value that keeps to a schema, to begin with. */
export function example(api, given) {
  const { schema } = resolved(api, given);
  if (schema.example !== undefined) return schema.example;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const choice = parts(schema)?.find((one) => !isNull(one));
  if (choice) return example(api, choice);
  const kind = [schema.type].flat()[0];
  if (kind === "object") {
    // Optional members are left for the reader to add.
    const needed = Object.entries(schema.properties ?? {}).filter(([name]) => schema.required?.includes(name));
    return Object.fromEntries(needed.map(([name, member]) => [name, example(api, member)]));
  }
  if (kind === "array") return schema.minItems ? [example(api, schema.items)] : [];
  if (kind === "integer" || kind === "number") return schema.minimum ?? 0;
  return kind === "boolean" ? true : "";
}
