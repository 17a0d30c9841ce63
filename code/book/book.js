// What a reader finds things with: search, previews of what is referred to, the current section, copies of code.

const book = new URL("..", document.currentScript.src); // this file is in site_libs/
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// ---- Search: the button, or the key /, opens a dialog; its index is loaded with the first use

const input = make("input", { type: "search", placeholder: "Words to find", ariaLabel: "Words to find" });
const count = make("p", { className: "count", role: "status" });
const results = make("ol");
const dialog = make("dialog", { id: "search", ariaLabel: "Search" }, input, count, results);
const opener = make("button", { textContent: "Search", title: "Key: /", onclick: openSearch });

function openSearch() {
  const script = make("script", { src: new URL("site_libs/search.js", book), onload: find });
  if (!document.head.querySelector(`script[src="${script.src}"]`)) document.head.append(script);
  dialog.showModal();
}

// All words must occur; a word of the title counts for more than one of the text.
function find() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (typeof searchIndex === "undefined") return;
  const hits = [];
  for (const [address, title, text] of words.length ? searchIndex : []) {
    const [head, body] = [title.toLowerCase(), text.toLowerCase()];
    if (!words.every((word) => head.includes(word) || body.includes(word))) continue;
    const whole = words.join(" ");
    const score = words.filter((word) => head.includes(word)).length + head.includes(whole) + body.includes(whole) / 2;
    hits.push({ address, title, text, score, at: Math.max(0, body.indexOf(body.includes(whole) ? whole : words[0])) });
  }
  hits.sort((one, other) => other.score - one.score);
  count.textContent = words.length ? `${hits.length || "No"} ${hits.length === 1 ? "place" : "places"}` : "";
  results.replaceChildren(...hits.slice(0, 30).map((hit) => result(hit, words)));
}

function result({ address, title, text, at }, words) {
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  const marked = (shown) =>
    shown.split(new RegExp(`(${escaped})`, "i")).map((part, i) => (i % 2 ? make("mark", {}, part) : part));
  const start = at > 60 ? text.indexOf(" ", at - 60) : 0;
  const excerpt = make("span", {}, start ? "… " : "", ...marked(text.slice(start, start + 200)));
  const link = make("a", { href: new URL(address, book), onclick: () => dialog.close() }, ...marked(title));
  return make("li", {}, link, excerpt);
}

input.addEventListener("input", find);
input.addEventListener("keydown", (event) => event.key === "Enter" && results.querySelector("a")?.click());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  event.preventDefault();
  openSearch();
});
if (matchMedia("(width < 52rem)").matches) document.querySelector("main").prepend(make("p", { className: "tools" }));
[...document.querySelectorAll(".tools")].at(-1).prepend(opener, " ");

// ---- Previews: a link to a statement, equation, figure, table, source or function shows it while pointed at or focused

const PREVIEWED = /^#(thm|lem|prp|cor|def|eq|fig|tbl|ref|api)-/;
const preview = make("div", { id: "preview", role: "tooltip", hidden: true });
const pages = new Map([[location.pathname, Promise.resolve(document)]]);
let pending, shownFor;

async function target(link) {
  if (!pages.has(link.pathname)) {
    const read = fetch(link.pathname).then((answer) => answer.text());
    pages.set(link.pathname, read.then((text) => new DOMParser().parseFromString(text, "text/html")));
  }
  const found = (await pages.get(link.pathname)).getElementById(decodeURIComponent(link.hash.slice(1)));
  const copy = document.importNode(found, true);
  for (const part of copy.querySelectorAll("[src], [href]")) {
    for (const name of ["src", "href"]) {
      if (part.hasAttribute(name)) part.setAttribute(name, new URL(part.getAttribute(name), link.href));
    }
  }
  for (const part of [copy, ...copy.querySelectorAll("[id]")]) part.removeAttribute("id");
  return copy;
}

async function show(link) {
  shownFor = link;
  const copy = await target(link).catch(() => null); // a page that was opened as a file can read no other
  if (!copy || shownFor !== link) return;
  preview.replaceChildren(copy);
  preview.hidden = false;
  link.setAttribute("aria-describedby", preview.id);
  const [at, width, height] = [link.getClientRects()[0], preview.offsetWidth, preview.offsetHeight];
  const above = at.bottom + height > innerHeight && at.top > height;
  preview.style.top = `${scrollY + (above ? at.top - height - 6 : at.bottom + 6)}px`;
  preview.style.left = `${scrollX + Math.max(8, Math.min(at.left, document.documentElement.clientWidth - width - 8))}px`;
}

function hide() {
  shownFor?.removeAttribute("aria-describedby");
  shownFor = undefined;
  preview.hidden = true;
}

function soon(action, link) {
  clearTimeout(pending);
  pending = setTimeout(action, 300, link);
}

for (const link of document.querySelectorAll("main a:not(.permalink)")) {
  if (link.host !== location.host || !PREVIEWED.test(link.hash)) continue;
  link.addEventListener("mouseenter", () => soon(show, link));
  link.addEventListener("focus", () => soon(show, link));
  for (const left of ["mouseleave", "blur"]) link.addEventListener(left, () => soon(hide));
}
preview.addEventListener("mouseenter", () => clearTimeout(pending));
preview.addEventListener("mouseleave", () => soon(hide));
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());

// ---- The section that is being read, in the contents of the page

const entries = [...document.querySelectorAll(".on-this-page a")];
const places = entries.map((entry) => document.getElementById(decodeURIComponent(entry.hash.slice(1))));

function follow() {
  const current = places.findLastIndex((place) => place.getBoundingClientRect().top < innerHeight / 4);
  entries.forEach((entry, i) => (entry.ariaCurrent = i === current ? "location" : null));
}
document.addEventListener("scroll", () => requestAnimationFrame(follow), { passive: true });
follow();

// ---- Copies of code

for (const block of navigator.clipboard ? document.querySelectorAll("div.sourceCode") : []) {
  const button = make("button", { className: "copy", textContent: "Copy" });
  button.onclick = async () => {
    await navigator.clipboard.writeText(block.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };
  block.append(button);
}

document.body.append(dialog, preview);
