package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"path"
	"slices"
	"strings"
	"time"
)

// A file is a file of an archive.
type file struct {
	name string
	mode int64
	data []byte
}

// tarred returns a tar archive of the files and their directories, owned by root, in the
// order of their names.
func tarred(at time.Time, files []file) []byte {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, data []byte) {
		h.ModTime, h.Format = at.UTC().Truncate(time.Second), tar.FormatUSTAR
		if err := w.WriteHeader(&h); err != nil {
			panic("writing an archive to memory: " + err.Error()) // a name that is too long
		}
		_, _ = w.Write(data) // to memory
	}
	made := map[string]bool{".": true}
	for _, f := range files {
		var missing []string
		for dir := path.Dir(f.name); !made[dir]; dir = path.Dir(dir) {
			made[dir] = true
			missing = append(missing, dir)
		}
		for _, dir := range slices.Backward(missing) {
			add(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}, nil)
		}
		add(tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data))}, f.data)
	}
	_ = w.Close() // to memory
	return b.Bytes()
}

// packed returns a compressed tar archive.
func packed(at time.Time, files []file) []byte { return zipped(tarred(at, files)) }

func zipped(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that exists
	_, _ = w.Write(data)                                  // to memory
	_ = w.Close()
	return b.Bytes()
}
