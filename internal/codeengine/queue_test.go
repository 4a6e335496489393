package codeengine

import (
	"context"
	"testing"
)

func TestRestartsOfOneAppShareAChange(t *testing.T) {
	c := New(Config{})
	app := appName{"eu-de", "p", "app"}
	first, err := c.enter(t.Context(), app, "A", "ApiKey-1")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan *queue)
	for mark, key := range map[string]string{"B": "ApiKey-2", "C": "ApiKey-3"} {
		go func() {
			q, err := c.enter(t.Context(), app, mark, key)
			if err != nil {
				t.Error(err)
			}
			entered <- q
		}()
	}
	for len(first.marks()) < 3 {
		select {
		case <-entered:
			t.Fatal("two restarts change one app at a time")
		default:
		}
	}
	if other, err := c.enter(t.Context(), appName{"eu-de", "p", "other"}, "A", "ApiKey-1"); err != nil || len(other.marks()) != 1 {
		t.Errorf("another app: %v, %v", other.marks(), err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.enter(impatient, app, "D", "ApiKey-4"); err == nil || len(first.marks()) != 3 {
		t.Errorf("a restart that gave up: %v, %v", first.marks(), err)
	}
	first.leave("A")
	second := <-entered
	if marks := second.marks(); len(marks) != 2 || marks["A"] != "" {
		t.Errorf("the next restart changes %v", marks)
	}
	for mark := range second.marks() {
		second.drop(mark)
	}
	<-second.turn
	<-entered
}
