package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// helper is what a cluster has as add-ons, in one small process on the node: names for Services (dns.go) and volumes for
// claims (volumes.go). CoreDNS and a CSI driver would do the same with ten times the dependencies.
func helper(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("cluster-helper", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server")
	listen := flags.String("dns", "", "ADDRESS:PORT to answer DNS questions on")
	hosts := flags.String("hosts", "", "a file in the format of /etc/hosts, read again whenever it changes")
	volumes := flags.String("volumes", "", "the folder that holds the volumes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	names := newNames(factory, *hosts)
	provisioner, err := newProvisioner(client, factory, *volumes)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return fmt.Errorf("no first list of %v", kind)
		}
	}
	go provisioner.run(ctx)
	log.Printf("answering on %s, volumes in %s", *listen, *volumes)
	return names.serve(*listen)
}
