// The management API (docs/management-api.md), relative to this page, so that a path before both of them does no harm.

const KEPT_AS = "roadbalancer.key";
const root = new URL("../api/v1/load_balancer/", document.baseURI);

let key = "";
try {
  key = sessionStorage.getItem(KEPT_AS) ?? "";
} catch {
  // Storage is blocked: the key is asked for again after a reload.
}

/** An error reply, or none at all (status 0). */
export class ApiError extends Error {
  constructor(status, { code = "unreachable", message = "The balancer does not answer.", field = null, details = null } = {}) {
    super(message);
    Object.assign(this, { status, code, fields: details ?? (field ? [{ field, message }] : []) });
  }

  get isRefusal() {
    return this.status === 401 || this.status === 403;
  }
}

export const hasKey = () => key !== "";

/** Kept for this tab only, never in the URL, never on disk. */
export function setKey(value) {
  key = value;
  try {
    if (value) {
      sessionStorage.setItem(KEPT_AS, value);
    } else {
      sessionStorage.removeItem(KEPT_AS);
    }
  } catch {
    // It holds for this page then.
  }
}

export function request(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = new Headers(headers);
  if (key) {
    sent.set("X-API-Key", key);
  }

  if (body !== undefined) {
    sent.set("Content-Type", "application/json");
  }

  return fetch(new URL(path, root), { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store", credentials: "omit", redirect: "error" });
}

/** The reply's JSON: {status, message?, data}. Throws ApiError. */
export async function call(method, path, body) {
  let response;
  try {
    response = await request(path, { method, body });
  } catch {
    throw new ApiError(0);
  }

  if (!response.ok) {
    throw await errorOf(response);
  }

  return response.json();
}

export async function errorOf(response) {
  try {
    return new ApiError(response.status, (await response.json()).error);
  } catch {
    return new ApiError(response.status, { code: "unexpected", message: `The balancer answered ${response.status} without saying why.` });
  }
}

export const backendPath = (name, action = "") => `backends/${encodeURIComponent(name)}${action && `/${action}`}`;
