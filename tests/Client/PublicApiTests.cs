using System.Reflection;
using System.Text;
using System.Xml.Linq;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>What programs can compile against is listed in PublicApi.txt, so that no change of it goes by unnoticed.</summary>
public class PublicApiTests
{
    private static readonly NullabilityInfoContext Nullability = new();

    private static string File => Repository.PathOf("tests", "Client", "PublicApi.txt");

    [Fact]
    public void PublicApi_Assembly_IsAsListed()
    {
        var actual = Describe();
        if (Environment.GetEnvironmentVariable("ROADBALANCER_ACCEPT_PUBLIC_API") == "1")
        {
            System.IO.File.WriteAllText(File, actual);
        }

        var listed = System.IO.File.ReadAllLines(File).ToHashSet();
        var lines = actual.TrimEnd('\n').Split('\n').ToHashSet();
        var difference = listed.Except(lines).Select(line => "- " + line).Concat(lines.Except(listed).Select(line => "+ " + line)).ToArray();
        Assert.True(
            difference.Length == 0,
            "The public API differs from tests/Client/PublicApi.txt. If that is meant, note it in CHANGELOG.md and run this test with ROADBALANCER_ACCEPT_PUBLIC_API=1.\n" + string.Join('\n', difference));
    }

    /// <summary>The compiler asks for a docstring on all that is public, but not for one on each parameter.</summary>
    [Fact]
    public void PublicApi_EveryParameter_HasADocstring()
    {
        var members = XDocument.Load(Path.ChangeExtension(typeof(LoadBalancer).Assembly.Location, ".xml")).Descendants("member").ToArray();
        var without = typeof(LoadBalancer).Assembly.GetExportedTypes()
            .SelectMany(type => type.GetConstructors().Cast<MethodBase>().Concat(Methods(type)))
            .Where(method => method.GetParameters().Length > 0 && !HasAll(method, members) && !IsOfPrimaryConstructor(method, members))
            .Select(method => $"{method.DeclaringType!.Name}.{method.Name}({ParametersOf(method)})");

        Assert.Empty(without);
    }

    /// <summary>Whether some overload's docstring has all of its parameters, or takes them over from another.</summary>
    private static bool HasAll(MethodBase method, XElement[] members) => members
        .Where(member => member.Attribute("name")!.Value.StartsWith($"M:{method.DeclaringType!.FullName}.{method.Name.Replace('.', '#')}(", StringComparison.Ordinal))
        .Any(member => member.Element("inheritdoc") is not null || Names(member).IsSupersetOf(method.GetParameters().Select(parameter => parameter.Name!)));

    private static bool IsOfPrimaryConstructor(MethodBase method, XElement[] members) => method.IsConstructor && members
        .Where(member => member.Attribute("name")!.Value == "T:" + method.DeclaringType!.FullName)
        .Any(member => Names(member).IsSupersetOf(method.GetParameters().Select(parameter => parameter.Name!)));

    private static HashSet<string> Names(XElement member) => [.. member.Elements("param").Select(param => param.Attribute("name")!.Value)];

    private static string Describe()
    {
        var text = new StringBuilder();
        foreach (var type in typeof(LoadBalancer).Assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            text.Append(KindOf(type)).Append(' ').Append(type.FullName).Append(BasesOf(type)).Append('\n');
            foreach (var line in MembersOf(type).Order(StringComparer.Ordinal))
            {
                text.Append(type.Name).Append(": ").Append(line).Append('\n');
            }
        }

        return text.ToString();
    }

    private static string KindOf(Type type) =>
        type.IsEnum ? "enum"
        : type.IsValueType ? "struct"
        : (type.IsAbstract && type.IsSealed ? "static " : type.IsAbstract ? "abstract " : type.IsSealed ? "sealed " : "") + (IsRecord(type) ? "record" : "class");

    private static bool IsRecord(Type type) => type.GetMethod("<Clone>$") is not null;

    private static string BasesOf(Type type)
    {
        var bases = new[] { type.BaseType }.Concat(type.GetInterfaces()).Where(known => known is not null && known != typeof(object) && known != typeof(Enum)
            && !(IsRecord(type) && known.Name.StartsWith("IEquatable", StringComparison.Ordinal)) && !type.IsEnum);
        return string.Join(", ", bases.Select(known => NameOf(known!)).Order(StringComparer.Ordinal)) is { Length: > 0 } list ? " : " + list : "";
    }

    private static IEnumerable<string> MembersOf(Type type)
    {
        if (type.IsEnum)
        {
            return type.GetEnumNames().Select(name => $"{name} = {Convert.ToInt64(Enum.Parse(type, name), System.Globalization.CultureInfo.InvariantCulture)}");
        }

        return type.GetConstructors().Select(constructor => $"new({ParametersOf(constructor)})")
            .Concat(Own(type.GetProperties(Everything)).Select(property => $"{(property.IsDefined(typeof(System.Runtime.CompilerServices.RequiredMemberAttribute)) ? "required " : "")}{NameOf(property)} {property.Name} {{ {AccessOf(property)} }}"))
            .Concat(Own(type.GetFields(Everything)).Select(field => $"const {NameOf(field.FieldType)} {field.Name} = {field.GetRawConstantValue()}"))
            .Concat(Methods(type).Select(method => $"{(method.IsStatic ? "static " : "")}{NameOf(method.ReturnParameter)} {method.Name}({ParametersOf(method)})"));
    }

    private const BindingFlags Everything = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>Without what the compiler writes for records.</summary>
    private static IEnumerable<MethodInfo> Methods(Type type) => Own(type.GetMethods(Everything)).Where(method =>
        !method.IsSpecialName && !(IsRecord(type) && method.Name is "Equals" or "GetHashCode" or "Deconstruct" or "ToString" or "<Clone>$"));

    private static IEnumerable<T> Own<T>(IEnumerable<T> members)
        where T : MemberInfo => members.Where(member => member.Name != "EqualityContract");

    private static string ParametersOf(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        $"{NameOf(parameter)} {parameter.Name}{(parameter.HasDefaultValue ? $" = {parameter.DefaultValue ?? "default"}" : "")}"));

    private static string AccessOf(PropertyInfo property) =>
        "get;" + (property.SetMethod is not { IsPublic: true } set ? ""
            : set.ReturnParameter.GetRequiredCustomModifiers().Any(modifier => modifier.Name == "IsExternalInit") ? " init;" : " set;");

    private static string NameOf(ParameterInfo parameter) => NameOf(parameter.ParameterType) + Mark(parameter.ParameterType, Nullability.Create(parameter).ReadState);

    private static string NameOf(PropertyInfo property) => NameOf(property.PropertyType) + Mark(property.PropertyType, Nullability.Create(property).ReadState);

    private static string Mark(Type type, NullabilityState state) => !type.IsValueType && state == NullabilityState.Nullable ? "?" : "";

    private static string NameOf(Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } inner)
        {
            return NameOf(inner) + "?";
        }

        return type.IsGenericType ? $"{type.Name.Split('`')[0]}<{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>" : type.Name;
    }
}
