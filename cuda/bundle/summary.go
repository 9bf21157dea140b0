package bundle

import (
	"fmt"
	"strings"
)

// summary is Markdown of results, made to be pasted into docs/hardware.md: what the environment stage found, a line for
// each stage, and the tables that stages gave.
func summary(all []Result) string {
	var b strings.Builder
	failed, skippedStages := 0, 0
	for _, r := range all {
		switch {
		case r.bad():
			failed++
		case r.Status == Skipped:
			skippedStages++
		}
	}
	if len(all) == 0 {
		return "No stage has run.\n"
	}
	first := all[0]
	how := ""
	if first.Dry {
		how = ", dry run"
	}
	fmt.Fprintf(&b, "## %s, commit %s%s\n\n", first.Time.Format("2006-01-02"), first.Commit, how)
	for _, r := range all {
		if r.Stage == environmentStage {
			for _, f := range r.Figures {
				fmt.Fprintf(&b, "* %s\n", f)
			}
			fmt.Fprintln(&b)
		}
	}
	fmt.Fprintf(&b, "%d stages: %d passed, %d failed, %d skipped.\n\n", len(all), len(all)-failed-skippedStages, failed, skippedStages)
	fmt.Fprintf(&b, "| Stage | | Seconds | Figures |\n|---|---|---|---|\n")
	for _, r := range all {
		said := r.Figures
		if r.Stage == environmentStage {
			said = nil
		}
		if r.Reason != "" {
			said = append([]string{r.Reason}, said...)
		}
		fmt.Fprintf(&b, "| %s | %s | %.1f | %s |\n", r.Stage, r.Status, r.Seconds, cell(strings.Join(said, "; ")))
	}
	for _, t := range tables(all) {
		fmt.Fprintf(&b, "\n%s\n\n", t.name)
		for i, cells := range t.rows {
			for _, c := range cells {
				fmt.Fprintf(&b, "| %s ", cell(c))
			}
			fmt.Fprintln(&b, "|")
			if i == 0 {
				fmt.Fprintln(&b, strings.Repeat("|---", len(cells))+"|")
			}
		}
	}
	return b.String()
}

// cell is text that a table's cell can hold.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
}

type table struct {
	name string
	rows [][]string
}

// tables gathers rows by table, in the order in which they first came. Several stages may add to one: its heading counts
// once.
func tables(all []Result) (found []*table) {
	by := map[string]*table{}
	for _, r := range all {
		for _, row := range r.Rows {
			t := by[row.Table]
			if t == nil {
				t = &table{name: row.Table}
				by[row.Table] = t
				found = append(found, t)
			} else if strings.Join(row.Cells, "|") == strings.Join(t.rows[0], "|") {
				continue
			}
			t.rows = append(t.rows, row.Cells)
		}
	}
	return found
}
