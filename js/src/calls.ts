import type * as api from "./api/types.gen.js";
import type { Answer } from "./exchange.js";
import type { CallOptions } from "./request.js";

/** The value of an answer; `withResponse()` gives the response too, for its headers. */
export interface Call<T> extends Promise<T> {
  withResponse(): Promise<Answer<T>>;
}

type Part<T> = [T] extends [never] ? unknown : T;
type Member<D, K extends string> = K extends keyof D ? Part<NonNullable<D[K]>> : unknown;
type Flat<T> = { [K in keyof T]: T[K] };
type Input<D> = Flat<Member<D, "path"> & Member<D, "query"> & Member<D, "body">>;
type Values<R> = R[keyof R];

/** A function: path, query and body in one object. */
type Operation<D, R, T = Values<R>> = Record<never, never> extends Input<D>
  ? (input?: Input<D>, options?: CallOptions) => Call<T>
  : (input: Input<D>, options?: CallOptions) => Call<T>;

/** A decision; one that refuses is an answer as well, not an error. */
export interface Decision extends api.DecisionBody {
  /** The limits that refused. */
  "violated-policies"?: string[];
}

/** A CloudEvent to publish: only `type` is needed. */
export interface NewEvent {
  /** Words of letters, digits and `_`, joined by dots. */
  type: string;
  /** Unique for its source; the client makes one, so that a repeat stores nothing twice. */
  id?: string;
  source?: string;
  subject?: string;
  time?: string;
  data?: unknown;
  dataschema?: string;
  correlationid?: string;
  causationid?: string;
  [attribute: string]: unknown;
}

/** A CloudEvent of a history. */
export interface StoredEvent<T = unknown> {
  specversion: string;
  type: string;
  id: string;
  source: string;
  time?: string;
  data?: T;
  correlationid?: string;
  causationid?: string;
  [attribute: string]: unknown;
}

/** An event with its place. */
export interface Placed extends Omit<api.Placed, "event"> {
  event: StoredEvent;
}

/** A page of history. */
export interface Page extends Omit<api.Page, "events"> {
  events: Placed[];
}

/** Every function, by subject. */
export interface Calls {
  health: Operation<api.GetHealthData, api.GetHealthResponses>;
  /** Prometheus text, or JSON with `format: "json"`. */
  metrics: Operation<api.GetMetricsData, api.GetMetricsResponses, string | api.MetricsBody>;
  alerts: Operation<api.GetMetricsAlertsData, api.GetMetricsAlertsResponses>;
  ratelimit: {
    check: Operation<api.PostRatelimitData, api.PostRatelimitResponses, Decision>;
    peek: Operation<api.GetRatelimitData, api.GetRatelimitResponses>;
    reset: Operation<api.DeleteRatelimitData, api.DeleteRatelimitResponses>;
    usage: Operation<api.GetRatelimitUsageData, api.GetRatelimitUsageResponses>;
  };
  /** The session of the browser whose cookie comes along. */
  session: {
    get: Operation<api.GetSessionData, api.GetSessionResponses>;
    update: Operation<api.PatchSessionData, api.PatchSessionResponses>;
    end: Operation<api.DeleteSessionData, api.DeleteSessionResponses>;
    refresh: Operation<api.PostSessionRefreshData, api.PostSessionRefreshResponses>;
    stepUp: Operation<api.PostSessionStepUpData, api.PostSessionStepUpResponses>;
    list: Operation<api.GetSessionsData, api.GetSessionsResponses>;
    revoke: Operation<api.DeleteSessionsIdData, api.DeleteSessionsIdResponses>;
    revokeOthers: Operation<api.PostSessionsRevokeOthersData, api.PostSessionsRevokeOthersResponses>;
  };
  sessions: {
    create: Operation<api.PostSessionsData, api.PostSessionsResponses>;
    active: Operation<api.GetSessionsActiveData, api.GetSessionsActiveResponses>;
    revokeAll: Operation<api.PostSessionsRevokeAllData, api.PostSessionsRevokeAllResponses>;
  };
  users: {
    epoch: Operation<api.GetUsersUserEpochData, api.GetUsersUserEpochResponses>;
    sessions: Operation<api.GetUsersUserSessionsData, api.GetUsersUserSessionsResponses>;
    endSessions: Operation<api.DeleteUsersUserSessionsData, api.DeleteUsersUserSessionsResponses>;
    endSession: Operation<api.DeleteUsersUserSessionsIdData, api.DeleteUsersUserSessionsIdResponses>;
  };
  events: {
    /** Publishes an event, or up to 100: then the verdict of each is in the answer. */
    publish<E extends NewEvent | readonly NewEvent[]>(
      events: E,
      options?: CallOptions & { organisation?: string },
    ): Call<E extends readonly unknown[] ? api.Verdict[] : api.Verdict>;
    history: Operation<api.GetEventsHistoryData, api.GetEventsHistoryResponses, Page>;
    poll: Operation<api.GetEventsPollData, api.GetEventsPollResponses, Page>;
    /** The open response; `EventStream` of `restis/browser` reads it and reconnects. */
    stream: Operation<api.GetEventsStreamData, api.GetEventsStreamResponses, Response>;
    sync: Operation<api.PostEventsSyncData, api.PostEventsSyncResponses>;
    grant: Operation<api.PostEventsGrantsData, api.PostEventsGrantsResponses>;
    coordinate(hint: unknown, options?: CallOptions): Call<api.Told>;
    health: Operation<api.GetEventsHealthData, api.GetEventsHealthResponses>;
    work: Operation<api.PostEventsWorkData, api.PostEventsWorkResponses>;
  };
  deadLetters: {
    list: Operation<api.GetEventsDlqData, api.GetEventsDlqResponses>;
    get: Operation<api.GetEventsDlqIdData, api.GetEventsDlqIdResponses, Values<api.GetEventsDlqIdResponses> | null>;
    redrive: Operation<api.PostEventsDlqRedriveData, api.PostEventsDlqRedriveResponses>;
    purge: Operation<api.PostEventsDlqPurgeData, api.PostEventsDlqPurgeResponses>;
  };
  cache: {
    get: Operation<api.GetCacheEntriesKeyData, api.GetCacheEntriesKeyResponses, api.EntryBody | null>;
    put: Operation<api.PutCacheEntriesKeyData, api.PutCacheEntriesKeyResponses>;
    delete: Operation<api.DeleteCacheEntriesKeyData, api.DeleteCacheEntriesKeyResponses>;
    getMany: Operation<api.PostCacheMgetData, api.PostCacheMgetResponses>;
    invalidate: Operation<api.PostCacheInvalidateData, api.PostCacheInvalidateResponses>;
    warm: Operation<api.PostCacheWarmData, api.PostCacheWarmResponses>;
    metrics: Operation<api.GetCacheMetricsData, api.GetCacheMetricsResponses>;
  };
}
