package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func batchHeader() http.Header {
	return http.Header{"Content-Type": {"application/cloudevents-batch+json"}}
}

func TestABatchIsToldByThePrefixOfItsTypeInAnyCase(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/cloudevents-batch+json":                true,
		"Application/CloudEvents-Batch+JSON; charset=UTF-8": true,
		"application/cloudevents-batch":                     true,
		"application/cloudevents-batch+avro":                true,
		"application/cloudevents+json":                      false,
		"application/cloudevents":                           false,
		"application/json":                                  false,
		"":                                                  false,
	} {
		if got := Batched(http.Header{"Content-Type": {contentType}}); got != want {
			t.Errorf("%q: %v", contentType, got)
		}
	}
	if !Batched(http.Header{"content-TYPE": {batchType}}) {
		t.Error("the header's name is not told in any case")
	}
}

func TestABatchHasItsEventsInOrderAndTheirFaultsApart(t *testing.T) {
	body := `[ {` + legal + `}, {"id":"2"}, null, {"specversion":"1.0","id":"4","source":"/me","type":"t","data":{"a":1,"a":2}},
		{"specversion":"1.0","id":"5","source":"/me","type":"t","data_base64":"aGk="} ]`
	items, err := DecodeBatch(http.Header{"Content-Type": {"application/CloudEvents-Batch+JSON;charset=utf-8"}}, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, item := range items {
		if item.Err != nil {
			if !errors.Is(item.Err, ErrMalformed) {
				t.Error(item.Err)
			}
			ids = append(ids, "fault")
			continue
		}
		ids = append(ids, item.Event.ID())
	}
	if got := fmt.Sprint(ids); got != "[1 fault fault fault 5]" {
		t.Error(got)
	}
	if string(items[4].Event.Data()) != "hi" {
		t.Errorf("data %q", items[4].Event.Data())
	}
}

func TestABatchMayBeEmptyAndIsBounded(t *testing.T) {
	many := func(n int) []byte {
		return []byte("[" + strings.TrimSuffix(strings.Repeat("{"+legal+"},", n), ",") + "]")
	}
	for n, want := range map[int]error{0: nil, MaxBatch: nil, MaxBatch + 1: ErrTooLarge} {
		items, err := DecodeBatch(batchHeader(), many(n))
		if !errors.Is(err, want) || (err == nil && len(items) != n) {
			t.Errorf("%d events: %d items, %v", n, len(items), err)
		}
	}
	if _, err := DecodeBatch(batchHeader(), []byte("["+strings.Repeat(" ", MaxBody)+"]")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a body over the limit: %v", err)
	}
}

func TestWhatIsNoBatchIsRefusedWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		contentType, body string
		want              error
	}{
		"an object":        {batchType + "+json", `{` + legal + `}`, ErrMalformed},
		"nothing":          {batchType + "+json", ``, ErrMalformed},
		"null":             {batchType + "+json", `null`, ErrMalformed},
		"two arrays":       {batchType + "+json", `[][]`, ErrMalformed},
		"no UTF-8":         {batchType + "+json", "[\"\xff\"]", ErrMalformed},
		"another format":   {batchType + "+avro", `[]`, ErrUnsupported},
		"no format":        {batchType, `[]`, ErrUnsupported},
		"broken parameter": {batchType + "+json; charset", `[]`, ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			if items, err := DecodeBatch(http.Header{"Content-Type": {tc.contentType}}, []byte(tc.body)); !errors.Is(err, tc.want) || items != nil {
				t.Errorf("%v, %v", items, err)
			}
		})
	}
}

// FuzzBatch checks that a batch is decoded like its single events.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{` + legal + `},{` + legal + `,"data":{"credential":"a"}},null,7]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := DecodeBatch(batchHeader(), body)
		if err != nil {
			if items != nil || (!errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge)) {
				t.Fatalf("%v with %v", items, err)
			}
			return
		}
		var sent []json.RawMessage
		for _, item := range items {
			if item.Err != nil {
				if item.Event.Context != nil || !errors.Is(item.Err, ErrMalformed) {
					t.Fatalf("%v with %v", item.Event, item.Err)
				}
				continue
			}
			_, alone := again(t, item.Event)
			sent = append(sent, alone)
		}
		together, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		if sent == nil {
			together = []byte("[]")
		}
		twins, err := DecodeBatch(batchHeader(), together)
		if err != nil || len(twins) != len(sent) {
			if errors.Is(err, ErrTooLarge) {
				return // base64 is longer
			}
			t.Fatalf("%d of %d events when sent again: %v", len(twins), len(sent), err)
		}
		for _, item := range items {
			if item.Err == nil {
				same(t, item.Event, twins[0].Event)
				twins = twins[1:]
			}
		}
	})
}
