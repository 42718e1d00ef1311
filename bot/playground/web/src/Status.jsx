// What the app is doing right now in a thread, with Stop while its session is at work.
import { useEffect, useState } from "react";
import { useWorkspace } from "./context.js";
import { Stop } from "./icons.jsx";

export function Status({ channel, thread }) {
  const { state, boot, act } = useWorkspace();
  const { status, sessions, info } = state.channels[channel];
  if (!thread) return null;
  const now = status[thread];
  const working = sessions[thread]?.status === "processing";
  if (!now && !working) return <div className="status" role="status" />;
  return (
    <div className="status" role="status">
      <img src="/static/icon.svg" alt="" width="20" height="20" />
      <span className="status-text">
        <b>{boot.bot.name}</b> <Words status={now} />
      </span>
      {working ? (
        <button type="button" className="stop" onClick={() => act("stop", { channel: info.id, thread_ts: thread })}>
          <Stop size={14} /> Stop
        </button>
      ) : null}
    </div>
  );
}

function Words({ status }) {
  const [turn, setTurn] = useState(0);
  const lines = status?.loading_messages?.length ? status.loading_messages : [status?.status || "is working…"];
  useEffect(() => {
    if (lines.length < 2) return undefined;
    const timer = setInterval(() => setTurn((at) => at + 1), 2500);
    return () => clearInterval(timer);
  }, [lines.length]);
  return <span className="shimmer">{lines[turn % lines.length]}</span>;
}
