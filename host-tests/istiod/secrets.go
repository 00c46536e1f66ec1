package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	sds "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"istio.io/istio/pkg/model"
	"istio.io/istio/pkg/security"
)

// secrets gives proxies their certificates, as Istio's agent does in every pod. They are files of a directory:
// root.pem, system.pem, and POD.NAMESPACE.pem with POD.NAMESPACE.key.
type secrets struct {
	sds.UnimplementedSecretDiscoveryServiceServer
	directory string
}

// roots are the files of the authorities: those of the mesh, and those that the system of the proxy trusts.
var roots = map[string]string{
	security.RootCertReqResourceName: "root.pem",
	security.FileRootSystemCACert:    "system.pem",
}

// StreamSecrets answers until the proxy goes away. The files are read once per request; no change of theirs is sent.
func (s *secrets) StreamSecrets(stream sds.SecretDiscoveryService_StreamSecretsServer) error {
	pod := ""
	var sent []string
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		// Only the first request of a stream has the node: type~address~pod.namespace~domain.
		if parts := strings.Split(request.Node.GetId(), "~"); len(parts) == 4 {
			pod = filepath.Base(parts[2])
		}
		if request.ResponseNonce != "" && slices.Equal(sent, request.ResourceNames) {
			continue
		}
		response := &discovery.DiscoveryResponse{TypeUrl: model.SecretType, VersionInfo: "1", Nonce: "1"}
		for _, name := range request.ResourceNames {
			secret, err := s.secret(name, pod)
			if err != nil {
				return status.Errorf(codes.NotFound, "secret %s of %s: %v", name, pod, err)
			}
			packed, err := anypb.New(secret)
			if err != nil {
				return err
			}
			response.Resources = append(response.Resources, packed)
		}
		if err := stream.Send(response); err != nil {
			return err
		}
		sent = request.ResourceNames
	}
}

func (s *secrets) secret(name, pod string) (*tls.Secret, error) {
	if file := roots[name]; file != "" {
		root, err := s.read(file)
		if err != nil {
			return nil, err
		}
		context := &tls.CertificateValidationContext{TrustedCa: root}
		return &tls.Secret{Name: name, Type: &tls.Secret_ValidationContext{ValidationContext: context}}, nil
	}
	chain, err := s.read(pod + ".pem")
	if err != nil {
		return nil, err
	}
	key, err := s.read(pod + ".key")
	if err != nil {
		return nil, err
	}
	certificate := &tls.TlsCertificate{CertificateChain: chain, PrivateKey: key}
	return &tls.Secret{Name: name, Type: &tls.Secret_TlsCertificate{TlsCertificate: certificate}}, nil
}

func (s *secrets) read(name string) (*core.DataSource, error) {
	text, err := os.ReadFile(filepath.Join(s.directory, name))
	return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: text}}, err
}
