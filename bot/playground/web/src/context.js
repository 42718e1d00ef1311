// What every part of the page can reach: state, dispatch, act(verb, args), boot, theme.
import { createContext, useContext } from "react";

export const Workspace = createContext(null);
export const useWorkspace = () => useContext(Workspace);

export const placeOf = (info) => (info.kind === "im" ? { kind: "app", tab: "messages" } : { kind: "channel", id: info.id });
