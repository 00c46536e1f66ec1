// Command istiod serves Envoys with Istio's own control plane, without a cluster.
//
// What istiod reads of Kubernetes (Services, EndpointSlices, Pods) comes from a file, through the fake API server of
// Istio's own tests. Istio's objects are applied and deleted over HTTP, and are checked as in a cluster before: by the
// schemas and rules of Istio's CRDs, and by the code of Istio's admission webhook. Certificates are files of a directory.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	sds "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	rules "istio.io/istio/pkg/config/crd"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/env"
)

func main() {
	kubernetes := flag.String("kubernetes", "", "file with Services, EndpointSlices and Pods")
	meshConfig := flag.String("mesh", "", "file with the mesh configuration")
	certificates := flag.String("certificates", "", "directory with the certificates of pods")
	addresses := flag.String("addresses", "", "file for the addresses of the discovery services, of secrets and of all else, and of the control, a line each")
	flag.Parse()
	err := test.Wrap(func(t test.Failer) { serve(t, *kubernetes, *meshConfig, *certificates, *addresses) })
	fmt.Fprintln(os.Stderr, "istiod has ended:", err)
	os.Exit(1)
}

// serve ends only when something goes wrong.
func serve(t test.Failer, kubernetes, meshConfig, certificates, addresses string) {
	configuration := must(mesh.ApplyMeshConfigDefaults(string(must(os.ReadFile(meshConfig))(t))))(t)
	checks := must(rules.NewValidatorFromFiles(filepath.Join(env.IstioSrc, "manifests/charts/base/files/crd-all.gen.yaml")))(t)
	discovery := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	agent := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	control := must(net.Listen("tcp", "127.0.0.1:0"))(t)

	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		KubernetesObjectString: string(must(os.ReadFile(kubernetes))(t)),
		MeshConfig:             configuration,
		ListenerBuilder:        func() (net.Listener, error) { return discovery, nil },
	})
	objects := &objects{store: server.Store(), rules: checks}
	http.HandleFunc("PUT /objects", objects.handle(objects.apply))
	http.HandleFunc("DELETE /objects", objects.handle(objects.remove))
	http.Handle("/debug/", server.DiscoveryDebug)

	secretServer := grpc.NewServer()
	sds.RegisterSecretDiscoveryServiceServer(secretServer, &secrets{directory: certificates})
	go func() { check(t, secretServer.Serve(agent)) }()

	// Whoever waits for the file finds it complete.
	text := fmt.Sprintf("%s\n%s\n%s\n", agent.Addr(), discovery.Addr(), control.Addr())
	check(t, os.WriteFile(addresses+".new", []byte(text), 0o600))
	check(t, os.Rename(addresses+".new", addresses))
	check(t, http.Serve(control, nil))
}

func check(t test.Failer, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](value T, err error) func(test.Failer) T {
	return func(t test.Failer) T {
		check(t, err)
		return value
	}
}

// objects is what the API server of a cluster would hold of Istio's objects.
type objects struct {
	store model.ConfigStore
	rules *rules.Validator
	lock  sync.Mutex
}

// handle calls change for the object, as JSON, in a request.
func (o *objects) handle(change func(*unstructured.Unstructured) error) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		object := &unstructured.Unstructured{}
		body, err := io.ReadAll(request.Body)
		if err == nil {
			err = object.UnmarshalJSON(body)
		}
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		o.lock.Lock()
		defer o.lock.Unlock()
		if err := change(object); err != nil {
			reason := fmt.Sprintf("%s %s/%s: %v", object.GetKind(), object.GetNamespace(), object.GetName(), err)
			http.Error(response, reason, http.StatusUnprocessableEntity)
		}
	}
}

// exposed is what the webhook says of every EnvoyFilter.
const exposed = "EnvoyFilter exposes internal implementation details"

// apply creates or replaces an object. What the webhook only warns of is refused as well, but for that.
func (o *objects) apply(object *unstructured.Unstructured) error {
	// The check fills in defaults.
	if err := o.rules.ValidateCustomResource(object.DeepCopy()); err != nil {
		return err
	}
	schema, parsed, err := parse(object)
	if err != nil {
		return err
	}
	warnings, err := schema.ValidateConfig(*parsed)
	if err != nil {
		return err
	}
	if warnings != nil && !strings.HasPrefix(warnings.Error(), exposed) {
		return fmt.Errorf("warning: %w", warnings)
	}
	// The store numbers the versions.
	parsed.ResourceVersion = ""
	if known := o.store.Get(parsed.GroupVersionKind, parsed.Name, parsed.Namespace); known == nil {
		_, err = o.store.Create(*parsed)
	} else {
		parsed.CreationTimestamp = known.CreationTimestamp
		_, err = o.store.Update(*parsed)
	}
	return err
}

func (o *objects) remove(object *unstructured.Unstructured) error {
	_, parsed, err := parse(object)
	if err != nil {
		return err
	}
	return o.store.Delete(parsed.GroupVersionKind, parsed.Name, parsed.Namespace, nil)
}

func parse(object *unstructured.Unstructured) (resource.Schema, *config.Config, error) {
	gvk := object.GroupVersionKind()
	schema, known := collections.Pilot.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
	if !known {
		return nil, nil, fmt.Errorf("%v is no kind of Istio's", gvk)
	}
	text, err := object.MarshalJSON()
	if err != nil {
		return nil, nil, err
	}
	istio := &crd.IstioKind{}
	if err := json.Unmarshal(text, istio); err != nil {
		return nil, nil, err
	}
	parsed, err := crd.ConvertObject(schema, istio, "")
	return schema, parsed, err
}
