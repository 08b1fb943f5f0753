package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const provisionerName = "scim-tekton.test/folder"

// provisioner makes a folder on the node and a PersistentVolume for each claim of the StorageClass "standard", and removes
// both when the claim is gone: the contract of any external provisioner, so claims come and go as on a real cluster.
type provisioner struct {
	client  kubernetes.Interface
	folder  string
	claims  cache.Store
	volumes cache.Store
	queue   workqueue.TypedRateLimitingInterface[string]
}

func newProvisioner(client kubernetes.Interface, factory informers.SharedInformerFactory, folder string) (*provisioner, error) {
	claims := factory.Core().V1().PersistentVolumeClaims().Informer()
	volumes := factory.Core().V1().PersistentVolumes().Informer()
	p := &provisioner{
		client: client, folder: folder, claims: claims.GetStore(), volumes: volumes.GetStore(),
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
	}
	// One queue for both kinds: a claim's key has a slash, a volume's has none.
	enqueue := func(object any) {
		if key, err := cache.MetaNamespaceKeyFunc(object); err == nil {
			p.queue.Add(key)
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: enqueue, UpdateFunc: func(_, object any) { enqueue(object) }}
	for _, informer := range []cache.SharedIndexInformer{claims, volumes} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *provisioner) run(ctx context.Context) {
	for p.makeClass(ctx) != nil {
		time.Sleep(time.Second)
	}
	for {
		key, stop := p.queue.Get()
		if stop {
			return
		}
		if err := p.sync(ctx, key); err != nil {
			log.Printf("%s: %v", key, err)
			p.queue.AddRateLimited(key)
		} else {
			p.queue.Forget(key)
		}
		p.queue.Done(key)
	}
}

func (p *provisioner) makeClass(ctx context.Context) error {
	reclaim, binding := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingImmediate
	_, err := p.client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "standard",
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner: provisionerName, ReclaimPolicy: &reclaim, VolumeBindingMode: &binding,
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		log.Printf("StorageClass: %v", err)
		return err
	}
	return nil
}

func (p *provisioner) sync(ctx context.Context, key string) error {
	if strings.Contains(key, "/") {
		object, ok, err := p.claims.GetByKey(key)
		if err != nil || !ok {
			return err
		}
		return p.provide(ctx, object.(*corev1.PersistentVolumeClaim))
	}
	object, ok, err := p.volumes.GetByKey(key)
	if err != nil || !ok {
		return err
	}
	return p.remove(ctx, object.(*corev1.PersistentVolume))
}

func (p *provisioner) provide(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	// The controller-manager names who is asked by this annotation.
	if claim.Annotations["volume.kubernetes.io/storage-provisioner"] != provisionerName ||
		claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil {
		return nil
	}
	name := "pvc-" + string(claim.UID)
	folder := filepath.Join(p.folder, name)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	// fsGroup does not reach host folders: whatever user the pod has must be able to write.
	if err := os.Chmod(folder, 0o777); err != nil {
		return err
	}
	kind := corev1.HostPathDirectory
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": provisionerName},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              *claim.Spec.StorageClassName,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder, Type: &kind}},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (p *provisioner) remove(ctx context.Context, volume *corev1.PersistentVolume) error {
	if volume.Annotations["pv.kubernetes.io/provisioned-by"] != provisionerName || volume.Status.Phase != corev1.VolumeReleased ||
		volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(p.folder, volume.Name)); err != nil {
		return fmt.Errorf("its folder: %w", err)
	}
	err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
