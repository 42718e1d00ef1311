// Names, times and emoji: what turns ids and numbers into words.
import * as emoji from "node-emoji";

export const clock = (ts) =>
  new Date(ts * 1000).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });

export const fullTime = (ts) =>
  new Date(ts * 1000).toLocaleString([], { weekday: "long", month: "long", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit" });

export function day(ts) {
  const then = new Date(ts * 1000);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(then).setHours(0, 0, 0, 0)) / 86400000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return then.toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" });
}

export function ago(ts) {
  const seconds = Date.now() / 1000 - ts;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} minute${seconds < 120 ? "" : "s"} ago`;
  if (seconds < 86400) return `today at ${clock(ts)}`;
  return `${day(ts)} at ${clock(ts)}`;
}

export const size = (bytes) =>
  bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${Math.round(bytes / 1024)} kB` : `${(bytes / 1048576).toFixed(1)} MB`;

export const glyph = (name) => emoji.get(name.replaceAll(":", "")) || `:${name}:`;

export function findEmoji(typed) {
  if (typed.length < 2) return [];
  const starts = emoji.search(typed).sort((a, b) => Number(b.name.startsWith(typed)) - Number(a.name.startsWith(typed)) || a.name.length - b.name.length);
  return starts.slice(0, 8);
}

export function initials(name) {
  return name.split(/\s+/).map((word) => word[0]).slice(0, 2).join("").toUpperCase();
}

export function channelName(info, boot) {
  return info.kind === "im" ? boot.bot.name : info.name;
}

// Message text as one plain line, for previews and titles.
export function plain(text, boot) {
  return (text || "")
    .replace(/<@([UW][A-Z0-9]+)(\|[^>]*)?>/g, (_, id) => `@${boot.users.find((user) => user.id === id)?.name ?? id}`)
    .replace(/<#[CG][A-Z0-9]+\|([^>]+)>/g, "#$1")
    .replace(/<!(\w+)[^>]*>/g, "@$1")
    .replace(/<[^|>]+\|([^>]+)>/g, "$1")
    .replace(/<([^>]+)>/g, "$1")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
