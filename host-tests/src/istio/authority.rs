//! Certificates of workloads, and the root that all of them go back to.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

/// A root. Meshes that have the same one believe each other's certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

/// A certificate of a workload or a server with its key, both as PEM.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A root of its own.
    ///
    /// # Errors
    /// When no key is to be had.
    pub fn new() -> Result<Authority, Error> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = name("root");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let root = parameters.self_signed(&key)?.pem();
        let issuer = Issuer::new(parameters, key);
        Ok(Authority { issuer, root })
    }

    /// The root's certificate as PEM.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// A certificate for a workload, by its name: `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`.
    ///
    /// # Errors
    /// When the name is no URI, or no key is to be had.
    pub fn issue(&self, identity: &str) -> Result<Certificate, Error> {
        self.sign(SanType::URI(identity.try_into()?))
    }

    /// A certificate for a server, by its host.
    ///
    /// # Errors
    /// When the host is no DNS name, or no key is to be had.
    pub fn issue_for_host(&self, host: &str) -> Result<Certificate, Error> {
        self.sign(SanType::DnsName(host.try_into()?))
    }

    fn sign(&self, name: SanType) -> Result<Certificate, Error> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.subject_alt_names = vec![name];
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        Ok(Certificate {
            chain: parameters.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
