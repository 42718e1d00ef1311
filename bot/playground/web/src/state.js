// All that the page knows, and the one function that changes it.

export const empty = {
  boot: null,
  live: "connecting",
  place: null, // {kind: "channel", id} or {kind: "app", tab}
  thread: null, // ts of the thread that is open beside the conversation
  quiet: false, // it opened by itself: what the person types goes on where it was
  channels: {}, // id -> {info, messages: {ts: message}, loaded, status: {thread: status}, sessions, prompts}
  view: null,
  depth: 0,
  home: null,
  toast: null,
  editing: null, // ts of the own message that is being changed
  finder: false, // the dialog that jumps and searches
  threads: null, // those that the person is in: [{channel, root, replies}]
  beat: 0, // counts replies that came and threads that were read: the rows and their marks are then looked at again
};

const without = (object, key) => Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));

export function reduce(state, action) {
  switch (action.type) {
    case "booted": {
      const channels = {};
      for (const info of action.boot.channels) channels[info.id] = { ...blank, ...state.channels[info.id], info };
      return { ...state, boot: action.boot, channels, view: action.boot.view, depth: action.boot.depth };
    }
    case "live":
      return { ...state, live: action.state };
    case "go":
      return { ...state, place: action.place, thread: action.thread ?? null, quiet: false, finder: false, editing: null };
    case "thread":
      return { ...state, thread: action.ts, quiet: Boolean(action.quiet) };
    case "loaded": {
      const { channel, messages, status, sessions, prompts } = action.found;
      const byTs = Object.fromEntries(messages.map((message) => [message.ts, message]));
      return patch(state, channel, { messages: byTs, loaded: true, status, sessions, prompts });
    }
    case "read": {
      const channel = state.channels[action.channel];
      return patch(state, action.channel, { info: { ...channel.info, unread: 0, mentions: 0, read: action.ts } });
    }
    case "threads":
      return { ...state, threads: action.rows };
    case "thread read":
      return { ...state, beat: state.beat + 1 };
    case "note":
      return note(state, action.note);
    case "home": // the answer to opening it; what was published meanwhile is newer
      return { ...state, home: state.home ?? action.view };
    case "edit":
      return { ...state, editing: action.ts };
    case "finder":
      return { ...state, finder: action.open };
    case "toast":
      return { ...state, toast: action.text };
    default:
      throw new Error(`no such action: ${action.type}`);
  }
}

export const blank = { messages: {}, loaded: false, status: {}, sessions: {}, prompts: null };

function patch(state, id, changes) {
  const channel = state.channels[id];
  if (!channel) return state;
  return { ...state, channels: { ...state.channels, [id]: { ...channel, ...changes } } };
}

function note(state, told) {
  const channel = state.channels[told.channel];
  switch (told.type) {
    case "message":
      return arrived(state, channel, told);
    case "changed":
      return channel
        ? patch(state, told.channel, { messages: { ...channel.messages, [told.message.ts]: told.message } })
        : state;
    case "deleted":
      return channel ? patch(state, told.channel, { messages: without(channel.messages, told.ts) }) : state;
    case "status":
      return channel
        ? patch(state, told.channel, {
            status: told.status
              ? { ...channel.status, [told.thread_ts]: told.status }
              : without(channel.status, told.thread_ts),
          })
        : state;
    case "session":
      return channel
        ? patch(state, told.channel, {
            sessions: { ...channel.sessions, [told.thread_ts]: { status: told.status } },
          })
        : state;
    case "prompts":
      return patch(state, told.channel, { prompts: told });
    case "view":
      return { ...state, view: told.view, depth: told.depth };
    case "home":
      return { ...state, home: told.view };
    case "app":
      return { ...state, boot: { ...state.boot, connected: told.connected } };
    default:
      return state;
  }
}

function arrived(state, channel, { channel: id, message }) {
  if (!channel) return state;
  const me = state.boot.me;
  const open = isOpen(state, id) && document.visibilityState === "visible";
  const mine = message.user === me;
  const inThread = message.thread_ts && message.thread_ts !== message.ts;
  const counts = !mine && !open && (!inThread || concerns(channel, message, me));
  const mention = counts && (channel.info.kind === "im" || (message.text || "").includes(`<@${me}>`));
  const info = {
    ...channel.info,
    unread: channel.info.unread + (counts ? 1 : 0),
    mentions: channel.info.mentions + (mention ? 1 : 0),
  };
  const next = patch(state, id, { info, messages: { ...channel.messages, [message.ts]: message } });
  return inThread ? { ...next, beat: state.beat + 1 } : next;
}

function concerns(channel, message, me) {
  const root = channel.messages[message.thread_ts];
  return !root || root.user === me || (root.reply_users || []).includes(me);
}

export function isOpen(state, id) {
  if (!state.place) return false;
  if (state.place.kind === "channel") return state.place.id === id;
  return state.place.tab === "messages" && state.channels[id]?.info.kind === "im";
}

export function ordered(channel) {
  return Object.values(channel.messages).sort((a, b) => (a.ts < b.ts ? -1 : 1));
}

// The newest message of mine in a conversation or thread that I could change.
export function ownNewest(state, channel, thread) {
  const place = (message) => (message.thread_ts && message.thread_ts !== message.ts ? message.thread_ts : null);
  const mine = ordered(state.channels[channel]).filter((message) => message.user === state.boot.me && !message.is_ephemeral && !message.subtype && place(message) === (thread ?? null));
  return mine.at(-1)?.ts ?? null;
}

// The newest thread of the open channel that holds a finished answer of the app.
export function answeredThread(state) {
  const channel = state.channels[openChannel(state)];
  if (!channel || state.place.kind !== "channel") return null;
  const answers = ordered(channel).filter(
    (message) => message.bot_id && message.thread_ts && message.thread_ts !== message.ts && !message.is_ephemeral && message.streaming_state !== "in_progress" && message.blocks?.length,
  );
  return answers.at(-1)?.thread_ts ?? null;
}

export function openChannel(state) {
  if (!state.place || !state.boot) return null;
  if (state.place.kind === "threads") return null;
  if (state.place.kind === "channel") return state.place.id;
  return Object.values(state.channels).find((channel) => channel.info.kind === "im")?.info.id ?? null;
}
