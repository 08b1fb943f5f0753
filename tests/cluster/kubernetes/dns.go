package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
)

const clusterDomain = ".cluster.local."

// names answers A questions for Services (NAME.NAMESPACE.svc.cluster.local), for the pods of headless ones, and for what
// the hosts file says. There is no world outside: everything else does not exist.
type names struct {
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	hostsFile string

	mu       sync.Mutex
	hosts    map[string][]netip.Addr
	modified time.Time
}

func newNames(factory informers.SharedInformerFactory, hostsFile string) *names {
	return &names{
		services:  factory.Core().V1().Services().Lister(),
		slices:    factory.Discovery().V1().EndpointSlices().Lister(),
		hostsFile: hostsFile,
	}
}

// resolve returns the addresses of a name and whether the name exists; name ends in a dot.
func (n *names) resolve(name string) ([]netip.Addr, bool) {
	name = strings.ToLower(name)
	if addrs, ok := n.fromHosts(strings.TrimSuffix(name, ".")); ok {
		return addrs, true
	}
	inner, ok := strings.CutSuffix(name, ".svc"+clusterDomain)
	if !ok {
		return nil, false
	}
	parts := strings.Split(inner, ".")
	switch len(parts) {
	case 2:
		return n.service(parts[1], parts[0])
	case 3: // one pod of a headless Service, by its hostname
		return n.endpoints(parts[2], parts[1], parts[0])
	}
	return nil, false
}

func (n *names) service(namespace, name string) ([]netip.Addr, bool) {
	service, err := n.services.Services(namespace).Get(name)
	if err != nil || service.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, false
	}
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		addrs, _ := n.endpoints(namespace, name, "")
		return addrs, true
	}
	addr, err := netip.ParseAddr(service.Spec.ClusterIP)
	return []netip.Addr{addr}, err == nil
}

func (n *names) endpoints(namespace, service, hostname string) ([]netip.Addr, bool) {
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service})
	slices, err := n.slices.EndpointSlices(namespace).List(selector)
	if err != nil {
		return nil, false
	}
	var addrs []netip.Addr
	for _, slice := range slices {
		for _, e := range slice.Endpoints {
			ready := e.Conditions.Ready == nil || *e.Conditions.Ready
			if !ready || hostname != "" && (e.Hostname == nil || *e.Hostname != hostname) {
				continue
			}
			for _, a := range e.Addresses {
				if addr, err := netip.ParseAddr(a); err == nil {
					addrs = append(addrs, addr)
				}
			}
		}
	}
	return addrs, len(addrs) > 0
}

// fromHosts reads the file again when its time stamp has changed: a test adds a name by writing a line.
func (n *names) fromHosts(name string) ([]netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	info, err := os.Stat(n.hostsFile)
	if err != nil {
		return nil, false
	}
	if !info.ModTime().Equal(n.modified) {
		n.hosts, n.modified = readHosts(n.hostsFile), info.ModTime()
	}
	addrs, ok := n.hosts[name]
	return addrs, ok
}

func readHosts(file string) map[string][]netip.Addr {
	hosts := map[string][]netip.Addr{}
	f, err := os.Open(file)
	if err != nil {
		return hosts
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			log.Printf("%s: %v", file, err)
			continue
		}
		for _, name := range fields[1:] {
			hosts[strings.ToLower(name)] = append(hosts[strings.ToLower(name)], addr)
		}
	}
	return hosts
}

// answer turns a question into a reply. AAAA and other types of a name that exists get an empty, successful reply: a
// resolver that is told "no such name" for AAAA may not ask for A.
func (n *names) answer(request []byte) ([]byte, error) {
	var p dnsmessage.Parser
	header, err := p.Start(request)
	if err != nil {
		return nil, err
	}
	if header.Response {
		return nil, errors.New("not a question")
	}
	question, err := p.Question()
	if err != nil {
		return nil, err
	}
	addrs, exists := n.resolve(question.Name.String())
	code := dnsmessage.RCodeSuccess
	if !exists {
		code = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{
		ID: header.ID, Response: true, Authoritative: true,
		RecursionDesired: header.RecursionDesired, RecursionAvailable: true, RCode: code,
	})
	b.EnableCompression()
	if err := errors.Join(b.StartQuestions(), b.Question(question), b.StartAnswers()); err != nil {
		return nil, err
	}
	for i, addr := range addrs {
		if question.Type != dnsmessage.TypeA || !addr.Is4() || i >= 20 { // 20 still fit into 512 bytes
			continue
		}
		h := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1}
		if err := b.AResource(h, dnsmessage.AResource{A: addr.As4()}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

func (n *names) serve(address string) error {
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go n.serveStreams(streams)
	buffer := make([]byte, 4096)
	for {
		size, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return err
		}
		// An answer is a look-up in memory: no goroutine needed.
		reply, err := n.answer(buffer[:size])
		if err != nil {
			log.Printf("from %v: %v", from, err)
			continue
		}
		if _, err := packets.WriteTo(reply, from); err != nil {
			log.Printf("to %v: %v", from, err)
		}
	}
}

func (n *names) serveStreams(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			log.Print(err)
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			var size [2]byte
			if _, err := io.ReadFull(conn, size[:]); err != nil {
				return
			}
			request := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(conn, request); err != nil {
				return
			}
			reply, err := n.answer(request)
			if err != nil {
				return
			}
			binary.BigEndian.PutUint16(size[:], uint16(len(reply)))
			_, _ = conn.Write(append(size[:], reply...))
		}()
	}
}
