"use client";
import { useCallback, useEffect, useState, useTransition } from "react";
import { createClient, type ListedSession } from "restis";
import { useEvents } from "restis/react";
import { endOtherSessions, endSession, type Told as What } from "../app/actions";
import { useLive } from "./live";
import { Told } from "./told";

const client = createClient();
const time = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

export function Devices() {
  const { stream, user, state } = useLive();
  const [sessions, setSessions] = useState<ListedSession[]>();
  const [told, setTold] = useState<What>();
  const [pending, start] = useTransition();

  const load = useCallback(async () => {
    try {
      setSessions(await client.session.list());
    } catch {
      // The state of the connection is told above; the list is read again when it is back.
    }
  }, []);
  useEffect(() => {
    if (state === "live") void load();
  }, [state, load]);
  useEvents(stream, { types: [`session.${user}.*`], onEvent: load, onReset: load });

  const act = (action: () => Promise<What>) =>
    start(async () => {
      setTold(await action().catch(() => ({ problem: "The site cannot be reached. Try again in a moment." })));
      await load();
    });
  const others = sessions?.filter(({ current }) => !current).length ?? 0;

  return (
    <>
      <p>Where you are signed in. What you end here is signed out at once.</p>
      <ul className="devices">
        {sessions?.map(({ id, device, network, used_ms, current }) => (
          <li key={id} className="card">
            <div>
              <strong>{device || "Unknown device"}</strong> {current && <span className="mark">this one</span>}
              <small>
                {network && `${network}, `}used <time dateTime={new Date(used_ms).toISOString()}>{time.format(used_ms)}</time>
              </small>
            </div>
            {!current && (
              <button disabled={pending} aria-label={`End the session on ${device || "the unknown device"}, used ${time.format(used_ms)}`} onClick={() => act(() => endSession(id))}>
                End
              </button>
            )}
          </li>
        ))}
      </ul>
      {!sessions && <p className="quiet">Loading…</p>}
      {others > 0 && (
        <button className="danger" disabled={pending} onClick={() => act(endOtherSessions)}>
          End all other sessions
        </button>
      )}
      <Told told={told} />
    </>
  );
}
