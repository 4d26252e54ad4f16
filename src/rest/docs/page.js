// Shows the description of the API and sends requests that are made of it. Whatever comes from the
// description or from an answer is put into the page as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "delete"];
let api = null;
let root = "";

// Makes an element: its attributes, or what it does on an event, and what stands in it.
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// Follows a reference within the description.
function resolve(value) {
  if (!value || !value.$ref) return value;
  const steps = value.$ref.replace(/^#\//, "").split("/");
  return steps.reduce((at, step) => at[step.replaceAll("~1", "/").replaceAll("~0", "~")], api);
}

// Says in a few words what a schema admits.
function kindOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.oneOf && !schema.properties) return schema.oneOf.map(kindOf).join(" | ");
  if (schema.items) return `[${kindOf(schema.items)}]`;
  const type = [schema.type].flat().join(" | ");
  return schema.format ? `${type} (${schema.format})` : type;
}

// Shows an object's members line by line, and those of the objects within, down to a depth.
function outline(schema, depth = 0) {
  const found = resolve(schema);
  if (found.oneOf && !found.properties) {
    return found.oneOf.map((choice) => outline(choice, depth)).join("  ".repeat(depth) + "or\n");
  }
  if (!found.properties || depth > 5) return "";
  const required = new Set(found.required || []);
  return Object.entries(found.properties).map(([name, member]) => {
    const notes = [required.has(name) ? "required" : "", member.readOnly ? "set by the server" : ""];
    const said = notes.filter(Boolean).join(", ");
    const inner = member.items || member;
    return `${"  ".repeat(depth)}${name}: ${kindOf(member)}${said ? `  (${said})` : ""}\n` +
      outline(inner, depth + 1);
  }).join("");
}

// Gives the texts of the examples of a body.
function examplesOf(content) {
  const values = Object.entries(content.examples || {}).map(([name, one]) => [name, one.value]);
  if (content.example !== undefined) values.push(["example", content.example]);
  return values;
}

function written(mediaType, value) {
  if (typeof value === "string") return value;
  if (!mediaType.includes("form")) return JSON.stringify(value, null, 2);
  const fields = new URLSearchParams();
  for (const [name, values] of Object.entries(value)) {
    for (const one of [values].flat()) fields.append(name, one);
  }
  return fields.toString();
}

// Shows an operation; what it holds is made when it is opened.
function operation(path, method, item, described) {
  const body = make("div");
  const shown = make("details", { class: "operation", toggle: () => {
    if (shown.open && !body.hasChildNodes()) fill(body, path, method, item, described);
  } },
  make("summary", {},
    make("span", { class: `method ${method.toUpperCase()}` }, method.toUpperCase()),
    make("span", { class: "path" }, path),
    make("span", { class: "muted" }, described.summary)),
  body);
  shown.dataset.words = `${method} ${path} ${described.summary} ${described.operationId}`.toLowerCase();
  return shown;
}

function fill(body, path, method, item, described) {
  const parameters = [...(item.parameters || []), ...(described.parameters || [])].map(resolve);
  const inputs = parameters.map((parameter) => ({ parameter, input: inputFor(parameter) }));
  const editor = described.requestBody ? bodyEditor(described.requestBody.content) : null;
  const accept = make("select", { "aria-label": "Accept" },
    ...["application/json", "application/xml", "application/problem+json"].map((type) => make("option", {}, type)));
  const answer = make("div", { "aria-live": "polite" });
  body.append(
    make("h3", {}, "Parameters"),
    make("table", {}, ...inputs.map(({ parameter, input }) => make("tr", {},
      make("th", {}, parameter.name, parameter.required ? " *" : ""),
      make("td", {}, parameter.in),
      make("td", {}, input),
      make("td", { class: "muted" }, parameter.description || "")))),
  );
  if (editor) body.append(make("h3", {}, "Body"), editor.element);
  body.append(
    make("div", { class: "row" },
      make("button", { type: "button", click: () => send(path, method, inputs, editor, accept.value, answer) }, "Send"),
      make("label", {}, "answer in ", accept)),
    answer,
    make("h3", {}, "Answers"),
    make("table", {}, ...Object.entries(described.responses).map(([status, response]) => answerRow(status, resolve(response)))),
  );
}

function inputFor(parameter) {
  const label = { "aria-label": parameter.name };
  if (parameter.schema.enum) {
    const options = ["", ...parameter.schema.enum].map((value) => make("option", {}, value));
    return make("select", label, ...options);
  }
  const remembered = sessionStorage.getItem(`parameter ${parameter.name}`);
  const value = parameter.in === "path" ? remembered ?? parameter.example : "";
  return make("input", { ...label, value, spellcheck: "false" });
}

// Makes a box for the body with a choice of its format; examples fill it.
function bodyEditor(content) {
  const text = make("textarea", { "aria-label": "Body", spellcheck: "false" });
  const schema = make("pre");
  const examples = make("select", { "aria-label": "Example" });
  const type = make("select", { "aria-label": "Content-Type" },
    ...Object.keys(content).sort().map((name) => make("option", {}, name)));
  const choose = () => {
    const all = examplesOf(content[type.value]);
    const at = Math.max(0, examples.selectedIndex);
    if (all[at]) text.value = written(type.value, all[at][1]);
  };
  const change = () => {
    examples.replaceChildren(...examplesOf(content[type.value]).map(([name]) => make("option", {}, name)));
    schema.textContent = outline(content[type.value].schema);
    choose();
  };
  type.addEventListener("change", change);
  examples.addEventListener("change", choose);
  change();
  const element = make("div", {},
    make("div", { class: "row" }, type, examples), text,
    make("details", {}, make("summary", {}, "What stands in it"), schema));
  return { element, text, type };
}

function answerRow(status, response) {
  const formats = Object.entries(response.content || {});
  const json = formats.find(([type]) => type === "application/json");
  const shape = json ? outline(json[1].schema) : "";
  const headers = Object.keys(response.headers || {});
  return make("tr", {},
    make("th", {}, status),
    make("td", {}, response.description,
      headers.length ? make("div", { class: "muted" }, `Headers: ${headers.join(", ")}`) : null,
      formats.length ? make("div", { class: "muted" }, formats.map(([type]) => type).join(", ")) : null,
      shape ? make("details", {}, make("summary", {}, "What stands in it"), make("pre", {}, shape)) : null));
}

async function send(path, method, inputs, editor, accept, answer) {
  let target = path;
  const query = new URLSearchParams();
  const headers = new Headers({ Accept: accept });
  for (const { parameter, input } of inputs) {
    if (parameter.in === "path") {
      sessionStorage.setItem(`parameter ${parameter.name}`, input.value);
      target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    } else if (input.value && parameter.in === "query") query.set(parameter.name, input.value);
    else if (input.value) headers.set(parameter.name, input.value);
  }
  const credentials = authorization();
  if (credentials) headers.set("Authorization", credentials);
  if (editor) headers.set("Content-Type", editor.type.value);
  const url = root + target + (query.size ? `?${query}` : "");
  answer.replaceChildren(make("pre", {}, `${method.toUpperCase()} ${url} …`));
  const began = performance.now();
  try {
    const response = await fetch(url, { method: method.toUpperCase(), headers, body: editor?.text.value });
    const text = await response.text();
    const taken = Math.round(performance.now() - began);
    const fields = [...response.headers].map(([name, value]) => `${name}: ${value}`);
    const head = [`${response.status} ${response.statusText} (${taken} ms)`, ...fields].join("\n");
    answer.replaceChildren(make("pre", {}, `${method.toUpperCase()} ${url}`), make("pre", {}, head),
      text ? make("pre", {}, pretty(text)) : null);
  } catch (error) {
    answer.replaceChildren(make("pre", {}, `${method.toUpperCase()} ${url}\n${error}`));
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text.replace(/></g, ">\n<");
  }
}

// Asks for credentials where the description says that there must be some.
function askForCredentials() {
  const schemes = Object.values(api.components.securitySchemes || {}).map(resolve);
  if (schemes.length === 0) return;
  const form = document.getElementById("credentials");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  const isBasic = schemes.some((scheme) => scheme.scheme === "basic");
  form.append(...(isBasic
    ? [make("label", {}, "User ", make("input", { id: "user", autocomplete: "username" })),
      make("label", {}, "Password ", make("input", { id: "password", type: "password" }))]
    : [make("label", {}, "Token ", make("input", { id: "token", type: "password", autocomplete: "off" }))]));
}

function authorization() {
  const value = (id) => document.getElementById(id)?.value || "";
  if (value("token")) return `Bearer ${value("token")}`;
  if (!value("user")) return "";
  const bytes = new TextEncoder().encode(`${value("user")}:${value("password")}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

function show() {
  document.getElementById("about").textContent = api.info.description;
  const main = document.getElementById("operations");
  for (const { name } of api.tags) {
    const all = Object.entries(api.paths).flatMap(([path, item]) => METHODS
      .filter((method) => item[method]?.tags.includes(name))
      .map((method) => operation(path, method, item, item[method])));
    main.append(make("section", {}, make("h2", {}, name), ...all));
  }
  const search = document.getElementById("search");
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/);
    for (const one of main.querySelectorAll("details.operation")) {
      one.hidden = !words.every((word) => one.dataset.words.includes(word));
    }
    for (const section of main.children) {
      section.hidden = !section.querySelector("details.operation:not([hidden])");
    }
  });
}

async function start() {
  const source = document.body.dataset.api;
  try {
    api = await (await fetch(source)).json();
    // A page may talk to its own server alone: under another name only that of this page works.
    const described = new URL(api.servers[0].url, location.href);
    const isHere = described.origin === location.origin;
    root = isHere ? described.href.replace(/\/$/, "") : new URL(source, location.href).href.replace(/\/openapi\.json$/, "");
    askForCredentials();
    show();
  } catch (error) {
    document.getElementById("about").textContent = `The description cannot be shown: ${error}`;
  }
}

start();
