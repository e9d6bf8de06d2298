// What the browser remembers: who is looking, this session, the cart of each user.

const SESSION_GAP_MS = 30 * 60 * 1000;

function read(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? fallback;
  } catch {
    return fallback;
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Private windows may refuse storage; the page works without memory.
  }
}

const random = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export const newVisitor = () => `visitor-${random()}`;
export const userId = () => read("user", null);
export const setUserId = (value) => write("user", value);

export function sessionId(user, now = Date.now()) {
  const kept = read("session", null);
  const isOpen = kept && kept.user === user && now - kept.seen < SESSION_GAP_MS;
  const session = { user, id: isOpen ? kept.id : `web-${random()}`, seen: now };
  write("session", session);
  return session.id;
}

export const cart = (user) => read(`cart:${user}`, []);

export function addToCart(user, item) {
  const lines = cart(user);
  const line = lines.find((known) => known.item_id === item.item_id);
  if (line) line.quantity += 1;
  else lines.push({ item_id: item.item_id, title: item.title, price_cents: item.price_cents, quantity: 1 });
  write(`cart:${user}`, lines);
}

export function removeFromCart(user, itemId) {
  write(`cart:${user}`, cart(user).filter((line) => line.item_id !== itemId));
}

export const emptyCart = (user) => write(`cart:${user}`, []);
export const cartCount = (user) => cart(user).reduce((sum, line) => sum + line.quantity, 0);
