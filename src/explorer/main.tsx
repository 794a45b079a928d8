import "@mantine/core/styles.css";
import "@mantine/spotlight/styles.css";
import "./app/global.css";
import { MantineProvider } from "@mantine/core";
import { createRoot } from "react-dom/client";
import { App } from "./app/App.tsx";
import { theme } from "./app/theme.ts";
import { loadPage } from "./data/load-page.ts";
import { PageContext } from "./data/page-context.ts";

const element = document.getElementById("root");
if (element === null) throw new Error("The page has no root element.");
const root = createRoot(element);
loadPage().then(
  (page) =>
    root.render(
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <PageContext value={page}>
          <App />
        </PageContext>
      </MantineProvider>,
    ),
  (error: unknown) => {
    element.textContent = `The page's data cannot be read: ${error}`;
  },
);
