import {
  ActionIcon,
  Alert,
  AppShell,
  Burger,
  Group,
  NavLink,
  Paper,
  Stack,
  Text,
  Title,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { Condition } from "../conditions.ts";
import type { Section } from "../report.ts";
import { ChartCard } from "./ChartCard.tsx";
import classes from "./page.module.css";
import { TableCard } from "./TableCard.tsx";

export function App({ sections }: { sections: readonly Section[] }) {
  const [menu, { toggle, close }] = useDisclosure(false);
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: 268, breakpoint: "sm", collapsed: { mobile: !menu } }}
      padding="lg"
    >
      <AppShell.Header className={classes.header}>
        <Group h="100%" px="md" gap="sm" wrap="nowrap">
          <Burger opened={menu} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Contents" />
          <Text fw={700}>hydrant</Text>
          <Text c="dimmed" truncate>
            benchmark results
          </Text>
          <Group ml="auto">
            <SchemeSwitch />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" className={classes.navbar} aria-label="Contents">
        {sections.map((section, index) => (
          <NavLink
            key={section.title}
            label={section.title}
            defaultOpened
            href={`#${idOf(index)}`}
            onClick={close}
            fw={600}
          >
            {[...section.charts, ...section.tables].map(({ title, name }, at) => (
              <NavLink
                key={`${title} ${name}`}
                label={title}
                href={`#${idOf(index, at)}`}
                onClick={close}
                className={classes.entry}
              />
            ))}
          </NavLink>
        ))}
      </AppShell.Navbar>
      <AppShell.Main>
        <Stack gap="xl" maw={1080} mx="auto">
          {sections.map((section, index) => (
            <SectionView key={section.title} section={section} index={index} />
          ))}
        </Stack>
      </AppShell.Main>
    </AppShell>
  );
}

function SectionView({ section, index }: { section: Section; index: number }) {
  const { title, conditions, problems, charts, tables } = section;
  return (
    <Stack gap="lg" component="section" id={idOf(index)} className={classes.target}>
      <Title order={1} size="h2">
        {title}
      </Title>
      {problems.length > 0 && (
        <Alert color="red" title="Not as it should be">
          {problems.map((problem) => (
            <Text key={problem} size="sm">
              {problem}
            </Text>
          ))}
        </Alert>
      )}
      {conditions.length > 0 && <Conditions conditions={conditions} />}
      {charts.map((chart, at) => (
        <ChartCard key={chart.name} chart={chart} id={idOf(index, at)} />
      ))}
      {tables.map((table, at) => (
        <TableCard key={table.name} table={table} id={idOf(index, charts.length + at)} />
      ))}
    </Stack>
  );
}

function Conditions({ conditions }: { conditions: readonly Condition[] }) {
  return (
    <Paper withBorder p="md">
      <dl className={classes.conditions}>
        {conditions.map(({ name, value }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Paper>
  );
}

function SchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const other = useComputedColorScheme("light") === "dark" ? "light" : "dark";
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={`Switch to ${other}`}
      title={`Switch to ${other}`}
      onClick={() => setColorScheme(other)}
    >
      <svg viewBox="0 0 24 24" width="18" height="18" fill="none" aria-hidden="true">
        <circle cx="12" cy="12" r="8.5" stroke="currentColor" strokeWidth="1.8" />
        <path d="M12 3.5a8.5 8.5 0 0 1 0 17z" fill="currentColor" />
      </svg>
    </ActionIcon>
  );
}

/** Of a section, or of a chart or table in it. */
function idOf(section: number, part?: number): string {
  return part === undefined ? `s${section + 1}` : `s${section + 1}-${part + 1}`;
}
