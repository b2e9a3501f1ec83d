/**
 * Each function as `METHOD path?members of the query`; other members of the input are the body of
 * POST, PUT and PATCH, and the query of GET and DELETE.
 *
 * In front: `~` a POST that may be sent twice, `+` one that gets an `Idempotency-Key`, `-` one whose
 * "not found" is `null`.
 */
export const routes = {
  health: "GET health",
  metrics: "GET metrics",
  alerts: "GET metrics/alerts",
  ratelimit: {
    check: "POST ratelimit",
    peek: "GET ratelimit",
    reset: "DELETE ratelimit",
    usage: "GET ratelimit/usage",
  },
  session: {
    get: "GET session",
    update: "PATCH session",
    end: "DELETE session",
    refresh: "POST session/refresh",
    stepUp: "POST session/step-up",
    list: "GET sessions",
    revoke: "DELETE sessions/{id}",
    revokeOthers: "~POST sessions/revoke-others",
  },
  sessions: {
    create: "+POST sessions",
    active: "GET sessions/active",
    revokeAll: "~POST sessions/revoke-all?cursor",
  },
  users: {
    epoch: "GET users/{user}/epoch",
    sessions: "GET users/{user}/sessions",
    endSessions: "DELETE users/{user}/sessions",
    endSession: "DELETE users/{user}/sessions/{id}",
  },
  events: {
    history: "GET events/history",
    poll: "GET events/poll",
    stream: "GET events/stream",
    sync: "~POST events/sync",
    grant: "~POST events/grants",
    coordinate: "POST events/coordination",
    health: "GET events/health",
    work: "POST events/work",
  },
  deadLetters: {
    list: "GET events/dlq",
    get: "-GET events/dlq/{id}",
    redrive: "POST events/dlq/redrive",
    purge: "POST events/dlq/purge",
  },
  cache: {
    get: "-GET cache/entries/{key}",
    put: "PUT cache/entries/{key}?organisation",
    delete: "DELETE cache/entries/{key}",
    getMany: "~POST cache/mget",
    invalidate: "~POST cache/invalidate",
    warm: "~POST cache/warm",
    metrics: "GET cache/metrics",
  },
} as const;
