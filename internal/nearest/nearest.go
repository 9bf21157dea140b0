// Package nearest finds the valid name that a misspelt one most likely stands for.
package nearest

import "strings"

// Name is the name among names with the fewest edits (insertion, deletion, change or swap of neighbours; case does not
// count) from word, the first of several. It is empty if none is near: more than a third of word's letters, and two,
// would have to change.
func Name(word string, names []string) string {
	best, found := max(2, len(word)/3)+1, ""
	for _, n := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(n)); d < best && d < max(len(word), len(n)) {
			best, found = d, n
		}
	}
	return found
}

// distance is the edit distance with swaps (Damerau 1964, restricted form) by dynamic programming over three rows.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(y)]
}
