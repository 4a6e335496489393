//go:build !race

package simulate

// ordinary is how many histories an ordinary test run plays.
const ordinary = 10_000

const raceDetector = false
