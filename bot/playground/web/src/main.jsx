import { createRoot } from "react-dom/client";
import "@fontsource/lato/latin-400.css";
import "@fontsource/lato/latin-400-italic.css";
import "@fontsource/lato/latin-700.css";
import "@fontsource/lato/latin-900.css";
import "twemoji-colr-font/twemoji.css"; // for machines without a font of coloured emoji
import "slack-blocks-to-jsx/dist/style.css";
import "./style.css";
import "./blocks.css";
import { App } from "./App.jsx";

createRoot(document.getElementById("root")).render(<App />);
