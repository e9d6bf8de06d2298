// The page: who is looking, what they see, and what they do. Routes live behind the '#'.

import * as api from "./api.js";
import * as store from "./store.js";
import { attach } from "./suggestions.js";
import { empty, grid, make, picture, price, title } from "./view.js";

const USER_LIMIT = 60;
const byId = (id) => document.getElementById(id);
const main = byId("main");
const chosen = byId("user");
let turn = 0;
// Where the item now open was clicked: its view and cart events belong to that request.
let origin = {};

const user = () => store.userId();
const session = () => store.sessionId(user());

function note(text) {
  byId("notice").textContent = text ?? "";
  byId("notice").hidden = !text;
}

function record(eventType, item, more = {}) {
  api.log([{ event_type: eventType, user_id: user(), session_id: session(), item_id: item.item_id, ...more }]);
}

function showCartCount() {
  byId("cart-count").textContent = store.cartCount(user());
}

function put(item, context) {
  store.addToCart(user(), item);
  showCartCount();
  note(`${title(item.title)} is in the cart.`);
  record("add_to_cart", item, { ...context, quantity: 1, unit_price_cents: item.price_cents });
}

function handlers(answer) {
  const context = (item) => ({ request_id: answer.request_id, surface: answer.surface, position: item.position });
  return {
    onopen: (item) => {
      origin = context(item);
      record("click", item, origin);
    },
    onadd: (item) => put(item, context(item)),
  };
}

function degraded(answer) {
  if (answer.is_degraded) note(`A simpler window for now: ${answer.degraded_reason}`);
}

async function home() {
  const answer = await api.recommend(user(), { sessionId: session() });
  const who = user().startsWith("visitor-") ? "a new visitor" : `user ${user()}`;
  degraded(answer);
  return [
    make("h1", {}, `The window for ${who}`),
    answer.items.length ? grid(answer.items, handlers(answer)) : empty("Nothing to show today."),
  ];
}

async function results(query) {
  byId("query").value = query;
  const answer = await api.search(query, user(), { sessionId: session() });
  const count = answer.items.length;
  const corrected = answer.corrected_query_text;
  degraded(answer);
  return [
    make("h1", {}, `“${query}”`),
    make("p", { class: "lead" }, `${count} ${count === 1 ? "item" : "items"}`, corrected && corrected !== query ? `, shown for “${corrected}”` : ""),
    count ? grid(answer.items, handlers(answer)) : empty("Nothing found. Try fewer or other words."),
  ];
}

async function itemPage(itemId) {
  const [item, alike] = await Promise.all([
    api.item(itemId),
    api.similar(itemId, user(), { sessionId: session() }).catch(() => ({ items: [] })),
  ]);
  record("view", item, { ...origin, surface: "item_page" });
  const context = { ...origin, surface: "item_page" };
  return [
    make(
      "article",
      { class: "item" },
      make("div", { class: "stage" }, picture(item)),
      make(
        "div",
        {},
        make("h1", {}, title(item.title)),
        make("p", { class: "category" }, [item.brand, item.category].filter(Boolean).join(" · ")),
        make("p", { class: "price large" }, price(item.price_cents)),
        item.description ? make("p", { class: "description" }, title(item.description)) : null,
        make("button", { type: "button", class: "primary", onclick: () => put(item, context) }, "Put in the cart"),
      ),
    ),
    make("h2", {}, "Similar items"),
    alike.items.length ? grid(alike.items, handlers(alike)) : empty("Nothing like it in the shop."),
  ];
}

function buy(lines) {
  api.log(
    lines.map((line) => ({
      event_type: "purchase", user_id: user(), session_id: session(), item_id: line.item_id,
      surface: "cart", quantity: line.quantity, unit_price_cents: line.price_cents,
    })),
  );
  store.emptyCart(user());
  showCartCount();
  note("Bought. The next ingest will know.");
  route();
}

function cartPage() {
  const lines = store.cart(user());
  const total = lines.reduce((sum, line) => sum + line.quantity * (line.price_cents ?? 0), 0);
  if (!lines.length) return [make("h1", {}, "Cart"), empty("The cart is empty.")];
  const row = (line) =>
    make(
      "tr",
      {},
      make("td", {}, make("a", { href: `#/item/${encodeURIComponent(line.item_id)}` }, title(line.title))),
      make("td", { class: "number" }, String(line.quantity)),
      make("td", { class: "number" }, price(line.quantity * (line.price_cents ?? 0))),
      make(
        "td",
        {},
        make(
          "button",
          {
            type: "button", "aria-label": `Remove ${title(line.title)}`,
            onclick: () => { store.removeFromCart(user(), line.item_id); showCartCount(); route(); },
          },
          "Remove",
        ),
      ),
    );
  return [
    make("h1", {}, "Cart"),
    make(
      "table",
      { class: "cart" },
      make("thead", {}, make("tr", {}, ...["Item", "Quantity", "Price", ""].map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...lines.map(row)),
      make("tfoot", {}, make("tr", {}, make("th", { scope: "row" }, "Total"), make("td"), make("td", { class: "number" }, price(total)), make("td"))),
    ),
    make("button", { type: "button", class: "primary", onclick: () => buy(lines) }, "Buy"),
  ];
}

async function route() {
  const mine = ++turn;
  const [, page = "", argument = ""] = location.hash.split("/");
  const pages = { "": home, item: itemPage, search: results, cart: cartPage };
  main.setAttribute("aria-busy", "true");
  let content;
  try {
    content = await (pages[page] ?? home)(decodeURIComponent(argument));
  } catch (error) {
    content = [make("h1", {}, "Sorry"), empty(error.message)];
  }
  if (mine !== turn) return;
  main.replaceChildren(...content);
  main.setAttribute("aria-busy", "false");
}

function choose(userId) {
  store.setUserId(userId);
  if (!Array.from(chosen.options).some((option) => option.value === userId)) {
    chosen.append(make("option", { value: userId }, userId.startsWith("visitor-") ? "New visitor" : userId));
  }
  chosen.value = userId;
  showCartCount();
  note(null);
}

async function start() {
  const [status, known] = await Promise.all([api.status(), api.users(USER_LIMIT).catch(() => ({ users: [] }))]);
  chosen.replaceChildren(
    ...known.users.map((one) =>
      make("option", { value: one.user_id }, [one.user_id, one.segment, one.purchase_count ? `${one.purchase_count} bought` : ""].filter(Boolean).join(" · ")),
    ),
  );
  choose(store.userId() ?? known.users[0]?.user_id ?? store.newVisitor());
  byId("release").textContent = `Release ${status.release_id}`;
  if (status.clock === "replay") {
    const today = new Date(status.now).toLocaleDateString("en", { dateStyle: "long", timeZone: "UTC" });
    const clicks = status.is_simulated_clicks ? " Its clicks and searches are not real." : "";
    byId("clock").textContent = `A replayed shop: today is ${today}.${clicks}`;
    byId("clock").hidden = false;
  }
}

attach({
  form: byId("search"), input: byId("query"), list: byId("suggestions"),
  onsearch: (query) => { location.hash = `#/search/${encodeURIComponent(query)}`; },
  onitem: (itemId) => {
    origin = { surface: "search" };
    location.hash = `#/item/${encodeURIComponent(itemId)}`;
  },
});
chosen.addEventListener("change", () => {
  choose(chosen.value);
  if (location.hash === "" || location.hash === "#/") route();
  else location.hash = "#/";
});
byId("new-visitor").addEventListener("click", () => {
  choose(store.newVisitor());
  if (location.hash === "" || location.hash === "#/") route();
  else location.hash = "#/";
});
window.addEventListener("hashchange", async () => {
  note(null);
  await route();
  main.focus({ preventScroll: true });
  window.scrollTo({ top: 0 });
});

start()
  .catch((error) => note(error.message))
  .finally(() => {
    if (!store.userId()) choose(store.newVisitor());
    route();
  });
