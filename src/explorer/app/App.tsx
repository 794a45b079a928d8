import {
  ActionIcon,
  AppShell,
  Burger,
  Group,
  Kbd,
  NavLink,
  Text,
  Tooltip,
  UnstyledButton,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { spotlight } from "@mantine/spotlight";
import { useEffect } from "react";
import { usePage } from "../data/page-context.ts";
import classes from "./app.module.css";
import { Icon } from "./Icon.tsx";
import { go, hrefOf, usePlace } from "./place.ts";
import { Search } from "./Search.tsx";
import { Shortcuts } from "./Shortcuts.tsx";
import { viewsOf } from "./views.ts";

export function App() {
  const page = usePage();
  const place = usePlace();
  const views = viewsOf(page);
  const current = views.find(({ id }) => id === place.view) ?? views[0];
  const [menu, { toggle: toggleMenu, close: closeMenu }] = useDisclosure(false);
  const [help, { toggle: toggleHelp, close: closeHelp }] = useDisclosure(false);
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const switchScheme = () => setColorScheme(scheme === "dark" ? "light" : "dark");
  useHotkeys([
    ["?", toggleHelp],
    ["shift+?", toggleHelp],
    ["t", switchScheme],
    ...views.map(({ id }, index): [string, () => void] => [`${index + 1}`, () => go(id)]),
  ]);
  // A view of its own place, a heading of its own: the reader starts at its top.
  useEffect(() => {
    if (current !== undefined) window.scrollTo(0, 0);
  }, [current]);
  const title = page.program?.title ?? generationTitle(page.generation);
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: 188, breakpoint: "sm", collapsed: { mobile: !menu } }}
      padding="lg"
    >
      <button
        type="button"
        className={classes.skip}
        onClick={() => document.getElementById("main")?.focus()}
      >
        Skip to the view
      </button>
      <AppShell.Header className={classes.header}>
        <Burger
          opened={menu}
          onClick={toggleMenu}
          hiddenFrom="sm"
          size="sm"
          aria-label="Views"
          aria-expanded={menu}
        />
        <a className={classes.brand} href={hrefOf(views[0]?.id ?? "")} aria-label="hydrant">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M12 22V11M12 11c0-4-6-3-6-7M12 11c0-4 6-3 6-7M12 13V3" />
          </svg>
          hydrant
        </a>
        <Text className={classes.title} title={title} component="h1">
          {title}
        </Text>
        <Group gap="xs" wrap="nowrap">
          <UnstyledButton
            className={classes.search}
            onClick={spotlight.open}
            aria-label="Find by name"
          >
            <Icon path="M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13M15.5 15.5L20 20" size={15} />
            <span>Find a kernel, node, buffer…</span>
            <Kbd size="xs">Ctrl K</Kbd>
          </UnstyledButton>
          <Tooltip label={scheme === "dark" ? "Light (T)" : "Dark (T)"}>
            <ActionIcon
              variant="default"
              size={34}
              onClick={switchScheme}
              aria-label={scheme === "dark" ? "Switch to light colours" : "Switch to dark colours"}
            >
              <Icon
                path={
                  scheme === "dark"
                    ? "M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5L19 19M5 19l1.5-1.5M17.5 6.5L19 5"
                    : "M20 14.5A8.5 8.5 0 1 1 9.5 4A7 7 0 0 0 20 14.5z"
                }
                size={17}
              />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Keyboard shortcuts (?)">
            <ActionIcon
              variant="default"
              size={34}
              onClick={toggleHelp}
              aria-label="Keyboard shortcuts"
            >
              <Text fw={600} size="sm">
                ?
              </Text>
            </ActionIcon>
          </Tooltip>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" component="nav" aria-label="Views">
        {views.map(({ id, name, icon }, index) => (
          <NavLink
            key={id}
            href={hrefOf(id)}
            label={name}
            active={id === current?.id}
            aria-current={id === current?.id ? "page" : undefined}
            leftSection={<Icon path={icon} />}
            rightSection={<span className={classes.digit}>{index + 1}</span>}
            onClick={closeMenu}
            className={classes.link}
          />
        ))}
        <div className={classes.made}>
          {page.program?.version ?? page.generation?.version} ·{" "}
          {(page.program?.made ?? page.generation?.made ?? "").slice(0, 10)}
        </div>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} className={classes.main}>
        {current === undefined ? <Text>This page holds no data.</Text> : <current.component />}
      </AppShell.Main>
      <Search views={views} />
      <Shortcuts opened={help} onClose={closeHelp} views={views} />
    </AppShell>
  );
}

function generationTitle(
  generation: { model: string; heads?: string | undefined; device: string } | undefined,
): string {
  if (generation === undefined) return "";
  const { model, heads, device } = generation;
  return `${model}${heads === undefined ? "" : ` with ${heads}`} on ${device}`;
}
