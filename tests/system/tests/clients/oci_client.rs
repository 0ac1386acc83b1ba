//! The crate oci-client, of the oras project: pushes, pulls, reads a part of a blob, mounts, lists tags and referrers.

use crate::image::{MANIFEST, digest_of};
use crate::server::Server;
use bytes::Bytes;
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use plyos_test_system::trees::noise;

const LAYER: &str = "application/x.layer";

#[tokio::test]
async fn pushes_pulls_mounts_and_lists() {
    story(&Server::open()).await;
}

#[tokio::test]
async fn does_so_with_a_login() {
    story(&Server::with_login()).await;
}

async fn story(server: &Server) {
    // Another test of this program may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let auth = match server.login() {
        Some((user, password)) => RegistryAuth::Basic(user.to_owned(), password.to_owned()),
        None => RegistryAuth::Anonymous,
    };
    let place = |name: &str| -> Reference { format!("{}/{name}", server.address()).parse().unwrap() };
    let image = place("crate/app:1");
    let layers = [noise(3, 2 << 20), noise(4, 100), Vec::new()];
    let sent: Vec<_> =
        layers.iter().map(|bytes| ImageLayer::new(bytes.clone(), LAYER.to_owned(), None)).collect();
    client.push(&image, &sent, Config::oci_v1(&b"{}"[..], None), &auth, None).await.unwrap();

    let got = client.pull(&image, &auth, vec![LAYER]).await.unwrap();
    // They are fetched side by side, so in any order.
    for bytes in &layers {
        assert!(got.layers.iter().any(|layer| layer.data == *bytes), "a layer of {} bytes", bytes.len());
    }
    let digest = client.fetch_manifest_digest(&image, &auth).await.unwrap();
    assert_eq!(got.digest, Some(digest.clone()));
    let manifest = got.manifest.unwrap();

    let mut part = Vec::new();
    let opened =
        client.pull_blob_stream_partial(&image, &manifest.layers[0], 1_000_000, Some(5)).await.unwrap();
    let oci_client::client::BlobResponse::Partial(stream) = opened else { panic!("the whole for a part") };
    let pieces: Vec<Bytes> = futures_util::TryStreamExt::try_collect(stream.stream).await.unwrap();
    pieces.iter().for_each(|piece| part.extend_from_slice(piece));
    assert_eq!(part, layers[0][1_000_000..1_000_005]);

    let other = place("crate/other:1");
    client.store_auth_if_needed(other.resolve_registry(), &auth).await;
    match client.mount_blob(&other, &image, &manifest.layers[0].digest).await {
        Ok(()) => {}
        // The crate asks for a token for the target alone, which gives no right to read the source. So the registry begins an
        // upload, as the specification has it, and the crate calls that a failure.
        Err(error) => {
            assert!(server.login().is_some() && error.to_string().contains("202"), "{error}");
            client.push_blob(&other, layers[0].clone(), &manifest.layers[0].digest).await.unwrap();
        }
    }
    assert!(client.blob_exists(&other, &manifest.layers[0].digest).await.unwrap());
    assert!(!client.blob_exists(&other, &manifest.layers[1].digest).await.unwrap(), "another repository's");

    referrers(&client, &image, &digest, &manifest, &auth).await;
    let tags = client.list_tags(&image, &auth, None, None).await.unwrap();
    assert_eq!(tags.tags, ["1", "signature"]);
    let tags = client.list_tags(&image, &auth, Some(1), Some("1")).await.unwrap();
    assert_eq!(tags.tags, ["signature"]);
}

/// Attaches a manifest to the image, and finds it again by its kind.
async fn referrers(
    client: &Client,
    image: &Reference,
    digest: &str,
    manifest: &OciImageManifest,
    auth: &RegistryAuth,
) {
    let (bytes, _) = client.pull_manifest_raw(image, auth, &[MANIFEST]).await.unwrap();
    assert_eq!(digest_of(&bytes), *digest);
    let subject = OciDescriptor {
        media_type: MANIFEST.to_owned(),
        digest: digest.to_owned(),
        size: i64::try_from(bytes.len()).unwrap(),
        ..OciDescriptor::default()
    };
    let attached = OciImageManifest {
        subject: Some(subject),
        artifact_type: Some("application/x.signature".to_owned()),
        ..manifest.clone()
    };
    let place: Reference = format!("{}/{}:signature", image.registry(), image.repository()).parse().unwrap();
    client.push_manifest(&place, &attached.into()).await.unwrap();
    let subject: Reference = format!("{}/{}@{digest}", image.registry(), image.repository()).parse().unwrap();
    for (kind, found) in [(None, 1), (Some("application/x.signature"), 1), (Some("application/x.other"), 0)] {
        let index = client.pull_referrers(&subject, kind).await.unwrap();
        assert_eq!(index.manifests.len(), found, "{kind:?}");
    }
}
