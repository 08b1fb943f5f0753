// Command image writes an OCI image archive with one layer, from files and nothing else: no registry, no daemon, no base image.
//
//	image -out FILE -name NAME:TAG [flags] SOURCE=PATH...
//
// The same input gives the same bytes (times are zero, the order is that of the command line), so an image's digest changes only
// when its content does. The layer is not compressed: it never leaves this machine, and imports are faster.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// entry is one file, folder or link of the layer.
type entry struct {
	tar.Header
	source string // where a file's content is read from; empty: content
	text   string
}

func main() {
	var dirs, links, texts, env list
	out := flag.String("out", "", "archive to write")
	name := flag.String("name", "", "the image's name and tag")
	entrypoint := flag.String("entrypoint", "", "program and arguments, separated by commas")
	user := flag.String("user", "", "UID or UID:GID that the program runs as")
	workdir := flag.String("workdir", "", "folder that the program starts in")
	flag.Var(&dirs, "dir", "PATH[:MODE[:UID]], a folder")
	flag.Var(&links, "link", "TARGET=PATH, a symbolic link")
	flag.Var(&texts, "text", "PATH=CONTENT, a small file")
	flag.Var(&env, "env", "KEY=VALUE")
	flag.Parse()
	if *out == "" || !strings.Contains(path.Base(*name), ":") {
		fail("expected -out FILE and -name NAME:TAG")
	}
	layer, err := entries(dirs, links, texts, flag.Args())
	if err != nil {
		fail(err)
	}
	config := map[string]any{"Env": append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, env...)}
	if *entrypoint != "" {
		config["Entrypoint"] = strings.Split(*entrypoint, ",")
	}
	if *user != "" {
		config["User"] = *user
	}
	if *workdir != "" {
		config["WorkingDir"] = *workdir
	}
	if err := write(*out, *name, config, layer); err != nil {
		os.Remove(*out)
		fail(err)
	}
}

func fail(reason any) {
	fmt.Fprintln(os.Stderr, "image:", reason)
	os.Exit(1)
}

// entries lists what the layer holds, each path once (the first wins) and each folder before what is in it.
func entries(dirs, links, texts, files []string) ([]entry, error) {
	var all []entry
	seen := map[string]bool{".": true}
	var add func(e entry)
	add = func(e entry) {
		e.Name = strings.Trim(path.Clean("/"+e.Name), "/")
		if seen[e.Name] || e.Name == "" {
			return
		}
		add(entry{Header: tar.Header{Name: path.Dir(e.Name), Typeflag: tar.TypeDir, Mode: 0o755}})
		seen[e.Name] = true
		all = append(all, e)
	}
	for _, d := range dirs {
		part := append(strings.Split(d, ":"), "", "")
		mode, err := strconv.ParseInt("0"+part[1], 8, 32)
		if err != nil {
			return nil, fmt.Errorf("-dir %s: expected PATH:MODE with an octal mode: %w", d, err)
		}
		if part[1] == "" {
			mode = 0o755
		}
		uid, err := strconv.Atoi("0" + part[2])
		if err != nil {
			return nil, fmt.Errorf("-dir %s: expected a number as owner: %w", d, err)
		}
		add(entry{Header: tar.Header{Name: part[0], Typeflag: tar.TypeDir, Mode: mode, Uid: uid, Gid: uid}})
	}
	for _, f := range files {
		source, target, ok := strings.Cut(f, "=")
		info, err := os.Stat(source)
		if !ok || err != nil {
			return nil, fmt.Errorf("%s: expected FILE=PATH: %w", f, err)
		}
		mode := int64(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		add(entry{Header: tar.Header{Name: target, Typeflag: tar.TypeReg, Mode: mode, Size: info.Size()}, source: source})
	}
	for _, t := range texts {
		target, content, _ := strings.Cut(t, "=")
		add(entry{Header: tar.Header{Name: target, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}, text: content})
	}
	for _, l := range links {
		to, at, _ := strings.Cut(l, "=")
		add(entry{Header: tar.Header{Name: at, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777}})
	}
	return all, nil
}

// writeLayer writes the layer's tar. It runs twice, once for the digest and once into the archive, instead of holding it in memory.
func writeLayer(w io.Writer, layer []entry) error {
	t := tar.NewWriter(w)
	for _, e := range layer {
		if err := t.WriteHeader(&e.Header); err != nil {
			return err
		}
		var content io.Reader = strings.NewReader(e.text)
		if e.source != "" {
			f, err := os.Open(e.source)
			if err != nil {
				return err
			}
			defer f.Close()
			content = f
		}
		if _, err := io.Copy(t, content); err != nil {
			return err
		}
	}
	return t.Close()
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// descriptor names a blob, as the OCI image specification does.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func describe(kind string, blob []byte) descriptor {
	sum := sha256.Sum256(blob)
	return descriptor{MediaType: mediaType(kind), Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(blob))}
}

func mediaType(kind string) string { return "application/vnd.oci.image." + kind }

func blobPath(d descriptor) string { return "blobs/sha256/" + strings.TrimPrefix(d.Digest, "sha256:") }

// write writes the archive: layer, config, the manifest that names both, the index that names the manifest.
func write(out, name string, config map[string]any, layer []entry) error {
	sum, size := sha256.New(), counter(0)
	if err := writeLayer(io.MultiWriter(sum, &size), layer); err != nil {
		return err
	}
	layerBlob := descriptor{MediaType: mediaType("layer.v1.tar"), Digest: "sha256:" + hex.EncodeToString(sum.Sum(nil)), Size: int64(size)}
	configText := encode(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layerBlob.Digest}},
	})
	configBlob := describe("config.v1+json", configText)
	manifestText := encode(map[string]any{
		"schemaVersion": 2, "mediaType": mediaType("manifest.v1+json"), "config": configBlob, "layers": []descriptor{layerBlob},
	})
	manifestBlob := describe("manifest.v1+json", manifestText)
	manifestBlob.Annotations = map[string]string{
		"io.containerd.image.name":          name,
		"org.opencontainers.image.ref.name": name[strings.LastIndex(name, ":")+1:],
	}
	index := encode(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifestBlob}})

	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	t := tar.NewWriter(f)
	for _, part := range []struct {
		path    string
		content []byte
	}{
		{"oci-layout", encode(map[string]any{"imageLayoutVersion": "1.0.0"})},
		{"index.json", index},
		{blobPath(configBlob), configText},
		{blobPath(manifestBlob), manifestText},
	} {
		if err := t.WriteHeader(&tar.Header{Name: part.path, Mode: 0o644, Size: int64(len(part.content))}); err != nil {
			return err
		}
		if _, err := io.Copy(t, bytes.NewReader(part.content)); err != nil {
			return err
		}
	}
	if err := t.WriteHeader(&tar.Header{Name: blobPath(layerBlob), Mode: 0o644, Size: layerBlob.Size}); err != nil {
		return err
	}
	if err := writeLayer(t, layer); err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	return f.Close()
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only maps, strings and numbers come here
	}
	return b
}
