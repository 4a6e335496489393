//go:build race

package simulate

// ordinary is how many histories an ordinary test run plays. The race detector
// makes each several times as expensive.
const (
	ordinary = 300
	whole    = 300
)

const raceDetector = true
