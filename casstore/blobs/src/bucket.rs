//! Opening a bucket of an S3-compatible store by its URL and the usual `AWS_…` settings.

use std::collections::BTreeMap;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3CopyIfNotExists};
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use crate::error::StoreError;

/// What a location starts with that is a bucket and no directory.
const SCHEME: &str = "s3://";

/// A bucket, and the prefix in it that everything lies under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketUrl {
    name: String,
    prefix: String,
}

impl BucketUrl {
    /// Takes `s3://BUCKET` and `s3://BUCKET/PREFIX`; anything else is no bucket.
    pub(crate) fn parse(location: &str) -> Option<Self> {
        let (name, prefix) = match location.strip_prefix(SCHEME)?.split_once('/') {
            Some((name, prefix)) => (name, prefix.trim_matches('/')),
            None => (location.strip_prefix(SCHEME)?, ""),
        };
        Some(Self { name: name.to_owned(), prefix: prefix.to_owned() })
    }

    /// Connects to nothing yet. `options` are named as `object_store` names them (`aws_endpoint`, `region`, …) and go before the
    /// environment.
    pub(crate) fn open(
        &self,
        options: &BTreeMap<String, String>,
    ) -> Result<PrefixStore<AmazonS3>, StoreError> {
        let failed =
            |source| StoreError::Backend { doing: "open", path: format!("{SCHEME}{}", self.name), source };
        // The HTTP client asks for the process's provider; whoever comes second finds one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&self.name)
            // Catalog files that must not replace others; buckets have no other way that holds in a race.
            .with_copy_if_not_exists(S3CopyIfNotExists::Multipart);
        for (name, value) in options {
            let key: AmazonS3ConfigKey = name.parse().map_err(failed)?;
            builder = builder.with_config(key, value);
        }
        let prefix =
            Path::parse(&self.prefix).map_err(|e| failed(object_store::Error::InvalidPath { source: e }))?;
        Ok(PrefixStore::new(builder.build().map_err(failed)?, prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bucket_url_is_a_bucket() {
        let url = |name: &str, prefix: &str| BucketUrl { name: name.to_owned(), prefix: prefix.to_owned() };
        assert_eq!(BucketUrl::parse("s3://layers"), Some(url("layers", "")));
        assert_eq!(BucketUrl::parse("s3://layers/"), Some(url("layers", "")));
        assert_eq!(BucketUrl::parse("s3://layers/a/b/"), Some(url("layers", "a/b")));
        for directory in ["/var/lib/registry", "s3", "s3:/x", "./s3://x"] {
            assert_eq!(BucketUrl::parse(directory), None, "{directory}");
        }
    }

    #[test]
    fn a_wrong_option_is_named() {
        let options = BTreeMap::from([("aws_endpont".to_owned(), "x".to_owned())]);
        let error = BucketUrl::parse("s3://layers").unwrap().open(&options).unwrap_err();
        assert!(error.to_string().contains("aws_endpont"), "{error}");
    }
}
