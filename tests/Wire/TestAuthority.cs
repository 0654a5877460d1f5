using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Roadbalancer.Tests.Wire;

/// <summary>A certificate authority of a test's own, which nobody trusts who is not told to.</summary>
internal sealed class TestAuthority : IDisposable
{
    private static readonly DateTimeOffset Begin = TimeProvider.System.GetUtcNow().AddDays(-1);

    private readonly X509Certificate2 _root;

    public TestAuthority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        _root = Request("Roadbalancer test authority", key, isAuthority: true).CreateSelfSigned(Begin, Begin.AddDays(10));
    }

    private TestAuthority(X509Certificate2 root) => _root = root;

    /// <summary>For <c>SSL_CERT_FILE</c>.</summary>
    public string Pem => _root.ExportCertificatePem();

    /// <summary>What a server sends with its own certificate, for an authority below another.</summary>
    public X509Certificate2Collection Chain => [_root];

    /// <summary>An authority below this one.</summary>
    public TestAuthority Intermediate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Sign(Request("Roadbalancer test intermediate", key, isAuthority: true));
        return new(certificate.CopyWithPrivateKey(key));
    }

    /// <summary>A server's certificate.</summary>
    /// <param name="name">The one DNS name that it is for.</param>
    /// <param name="issuerAt">Where the issuer's own certificate is said to be had (RFC 5280 §4.2.2.1).</param>
    public X509Certificate2 Issue(string name, Uri? issuerAt = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = Request(name, key, isAuthority: false);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false));
        if (issuerAt is not null)
        {
            request.CertificateExtensions.Add(new X509AuthorityInformationAccessExtension(null, [issuerAt.AbsoluteUri]));
        }

        using var certificate = Sign(request);
        return certificate.CopyWithPrivateKey(key);
    }

    public void Dispose() => _root.Dispose();

    private static CertificateRequest Request(string name, ECDsa key, bool isAuthority)
    {
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(isAuthority ? X509KeyUsageFlags.KeyCertSign : X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        return request;
    }

    private X509Certificate2 Sign(CertificateRequest request) =>
        request.Create(_root, Begin, Begin.AddDays(9), RandomNumberGenerator.GetBytes(12));
}
