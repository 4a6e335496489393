//go:build !race

package simulate

// ordinary is how many histories an ordinary test run plays, and whole how many
// make test plays.
const (
	ordinary = 2_000
	whole    = 10_000
)

const raceDetector = false
