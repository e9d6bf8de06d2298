// From data to elements. Text always goes in as text, never as HTML: titles come from any shop.

const SOURCE_MARKS = {
  personal: "↻", counted: "#", popularity: "★", als: "∿", sequence: "→", similar: "≈", search: "⌕", fallback: "★",
};

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function price(cents) {
  return cents === null || cents === undefined ? "" : (cents / 100).toFixed(2);
}

// Online Retail shouts its titles; a window should not.
export function title(text) {
  const isShouting = text === text.toUpperCase() && /[A-Z]{3}/.test(text);
  return isShouting ? text.charAt(0) + text.slice(1).toLowerCase() : text;
}

// A reason names other items in the middle of a sentence: calm only the shouted run.
export function sentence(text) {
  return text.replace(/\b[A-Z0-9][A-Z0-9'&.,/+-]*(?:\s+[A-Z0-9][A-Z0-9'&.,/+-]*)+/g, (run) => title(run));
}

function hash(text) {
  let value = 2166136261;
  for (const char of text) value = Math.imul(value ^ char.codePointAt(0), 16777619) >>> 0;
  return value;
}

// A shop without pictures still gets a window: an arch in a color of the item's own.
function art(item) {
  const seed = hash(item.category ?? item.title);
  const own = hash(item.item_id);
  const hue = seed % 360;
  const svg = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const picture = svg("svg", { viewBox: "0 0 120 90", class: "art", "aria-hidden": "true", focusable: "false" });
  picture.append(
    svg("rect", { width: 120, height: 90, fill: `hsl(${hue} 34% 90%)` }),
    svg("path", { d: "M28 90V46a32 32 0 0 1 64 0v44z", fill: `hsl(${hue} 36% ${76 + (own % 8)}%)` }),
    svg("circle", { cx: 44 + (own % 33), cy: 40 + ((own >>> 6) % 14), r: 7 + ((own >>> 10) % 9), fill: `hsl(${(hue + 40) % 360} 52% 58%)` }),
    svg("rect", { x: 40, y: 66, width: 40, height: 24, rx: 2, fill: `hsl(${hue} 30% 46%)` }),
  );
  const letter = svg("text", { x: 60, y: 83, "text-anchor": "middle", class: "monogram" });
  letter.textContent = title(item.title).charAt(0).toUpperCase();
  picture.append(letter);
  return picture;
}

export function picture(item) {
  const isSafe = item.image_url && /^(https?:\/\/|\/)/.test(item.image_url);
  return isSafe ? make("img", { class: "art", src: item.image_url, alt: "", loading: "lazy" }) : art(item);
}

// Buttons and links inside a card stay apart: the card is a link, the cart button beside it.
export function card(item, { onopen, onadd }) {
  const name = title(item.title);
  return make(
    "li",
    { class: "card", "data-item-id": item.item_id, "data-position": item.position },
    make(
      "a",
      { class: "card-link", href: `#/item/${encodeURIComponent(item.item_id)}`, onclick: () => onopen(item) },
      picture(item),
      make("h3", {}, name),
      item.category ? make("p", { class: "category" }, [item.brand, item.category].filter(Boolean).join(" · ")) : null,
    ),
    item.reason
      ? make("p", { class: `reason source-${item.source}` }, make("span", { "aria-hidden": "true" }, SOURCE_MARKS[item.source] ?? "•"), ` ${sentence(item.reason)}`)
      : null,
    make(
      "div",
      { class: "buy" },
      make("span", { class: "price" }, price(item.price_cents)),
      make("button", { type: "button", "aria-label": `Put ${name} in the cart`, onclick: () => onadd(item) }, "Add"),
    ),
  );
}

export const grid = (items, handlers) => make("ol", { class: "grid" }, ...items.map((item) => card(item, handlers)));

export const empty = (text) => make("p", { class: "empty" }, text);
