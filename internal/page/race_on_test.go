//go:build race

package page

// slower is how many times slower the race detector makes a page.
const slower = 10
