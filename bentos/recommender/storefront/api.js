// Every call the page makes, in one place. Each answers the service's JSON or throws an ApiError.

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, "The shop does not answer. Is it still running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, answer.detail ?? answer.error ?? response.statusText);
  return answer;
}

function post(path, body) {
  return ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

export const status = () => ask("/status");
export const users = (limit) => ask(`/users?limit=${limit}`);
export const item = (itemId) => ask(`/items/${encodeURIComponent(itemId)}`);
export const recommend = (userId, { surface = "home", k = 10, sessionId } = {}) =>
  post("/recommend", { user_id: userId, surface, k, session_id: sessionId });
export const similar = (itemId, userId, { k = 8, sessionId } = {}) =>
  post("/similar", { item_id: itemId, user_id: userId, k, session_id: sessionId });
export const search = (queryText, userId, { k = 24, sessionId, ...filters } = {}) =>
  post("/search", { query_text: queryText, user_id: userId, k, session_id: sessionId, ...filters });
export const suggest = (prefix) => post("/suggest", { prefix, k: 8 });

// What a user does must never make the page wait or fail: sent in the background, kept alive over a
// change of page, and its loss is told to the console only.
export function log(events) {
  post("/events", { events }).catch((error) => console.warn("event not logged:", error.message));
}
