using System.Text;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

public sealed class ErrorClassifierTests
{
    public static TheoryData<int, string, string> Errors => new()
    {
        // Status alone.
        { 301, "", nameof(OutcomeKind.ServerError) },
        { 400, "", nameof(OutcomeKind.CallerFault) },
        { 401, "", nameof(OutcomeKind.BadCredentials) },
        { 402, "", nameof(OutcomeKind.QuotaExhausted) },
        { 403, "<html>", nameof(OutcomeKind.BadCredentials) },
        { 404, "", nameof(OutcomeKind.CallerFault) },
        { 405, "", nameof(OutcomeKind.CallerFault) },
        { 408, "", nameof(OutcomeKind.ServerError) },
        { 413, "", nameof(OutcomeKind.CallerFault) },
        { 422, """{"detail":[{"loc":["body","messages"],"msg":"maximum context length","input":"x"}]}""", nameof(OutcomeKind.CallerFault) },
        { 429, "", nameof(OutcomeKind.RateLimited) },
        { 500, "", nameof(OutcomeKind.ServerError) },
        { 502, "Bad gateway", nameof(OutcomeKind.ServerError) },
        { 503, "", nameof(OutcomeKind.Overloaded) },
        { 504, "", nameof(OutcomeKind.ServerError) },
        { 529, "", nameof(OutcomeKind.Overloaded) },

        // OpenAI.
        { 429, """{"error":{"message":"Rate limit reached for gpt-4o","type":"tokens","param":null,"code":"rate_limit_exceeded"}}""", nameof(OutcomeKind.RateLimited) },
        { 429, """{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}""", nameof(OutcomeKind.QuotaExhausted) },
        { 429, """{"error":{"message":"Billing hard limit has been reached","type":"insufficient_quota","code":"billing_hard_limit_reached"}}""", nameof(OutcomeKind.QuotaExhausted) },
        { 400, """{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}""", nameof(OutcomeKind.ContextTooLong) },
        { 400, """{"error":{"message":"Invalid 'user': string too long.","type":"invalid_request_error","param":"user","code":"string_above_max_length"}}""", nameof(OutcomeKind.CallerFault) },
        { 400, """{"error":{"code":"content_policy_violation","message":"Your request was rejected","param":null,"type":"invalid_request_error"}}""", nameof(OutcomeKind.ContentFiltered) },
        { 404, """{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}""", nameof(OutcomeKind.ModelAbsent) },
        { 403, """{"error":{"message":"Project does not have access","type":"invalid_request_error","code":"model_not_found"}}""", nameof(OutcomeKind.ModelAbsent) },
        { 403, """{"error":{"message":"x","code":"unsupported_country_region_territory"}}""", nameof(OutcomeKind.BadCredentials) },
        { 404, """{"error":{"message":"Invalid URL (POST /v1/x)","type":"invalid_request_error","param":null,"code":null}}""", nameof(OutcomeKind.CallerFault) },

        // Azure OpenAI and API Management.
        { 400, """{"error":{"message":"filtered","type":null,"param":"prompt","code":"x","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true}}}}}""", nameof(OutcomeKind.ContentFiltered) },
        { 400, """{"error":{"message":"filtered","code":"content_filter","status":400}}""", nameof(OutcomeKind.ContentFiltered) },
        { 404, """{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}""", nameof(OutcomeKind.ModelAbsent) },
        { 404, """{"error":{"code":"404","message":"Resource not found"}}""", nameof(OutcomeKind.CallerFault) },
        { 429, """{"error":{"code":"429","message":"Requests have exceeded call rate limit"}}""", nameof(OutcomeKind.RateLimited) },
        { 403, """{"statusCode":403,"message":"Out of call volume quota. Quota will be replenished in 02:21:10."}""", nameof(OutcomeKind.QuotaExhausted) },

        // vLLM, SGLang, llama.cpp, Ollama, TGI.
        { 404, """{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}""", nameof(OutcomeKind.ModelAbsent) },
        { 404, """{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":"model","code":404}}""", nameof(OutcomeKind.ModelAbsent) },
        { 400, """{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000","type":"BadRequestError","code":400}""", nameof(OutcomeKind.ContextTooLong) },
        { 400, """{"object":"error","message":"The input (9 tokens) is longer than the model's context length (8 tokens).","type":"BadRequestError","code":400}""", nameof(OutcomeKind.ContextTooLong) },
        { 404, """{"detail":"Not Found"}""", nameof(OutcomeKind.CallerFault) },
        { 503, """{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}""", nameof(OutcomeKind.Overloaded) },
        { 400, """{"error":{"code":400,"message":"request (9 tokens) exceeds","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}""", nameof(OutcomeKind.ContextTooLong) },
        { 404, """{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}""", nameof(OutcomeKind.CallerFault) },
        { 404, """{"error":"model 'x' not found"}""", nameof(OutcomeKind.ModelAbsent) },
        { 404, """{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error","param":null,"code":null}}""", nameof(OutcomeKind.ModelAbsent) },
        { 422, """{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9","error_type":"validation"}""", nameof(OutcomeKind.ContextTooLong) },
        { 429, """{"error":"Model is overloaded","error_type":"overloaded"}""", nameof(OutcomeKind.RateLimited) },

        // Anthropic, Google, DeepSeek, Mistral, xAI.
        { 529, """{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}""", nameof(OutcomeKind.Overloaded) },
        { 400, """{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}""", nameof(OutcomeKind.QuotaExhausted) },
        { 400, """{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}""", nameof(OutcomeKind.ContextTooLong) },
        { 404, """{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}""", nameof(OutcomeKind.ModelAbsent) },
        { 429, """[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED"}}]""", nameof(OutcomeKind.RateLimited) },
        { 400, """[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]""", nameof(OutcomeKind.BadCredentials) },
        { 404, """[{"error":{"code":404,"message":"models/x is not found for API version v1main","status":"NOT_FOUND"}}]""", nameof(OutcomeKind.ModelAbsent) },
        { 402, """{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}""", nameof(OutcomeKind.QuotaExhausted) },
        { 400, """{"error":{"message":"Model Not Exist","type":"invalid_request_error","code":"invalid_request_error"}}""", nameof(OutcomeKind.ModelAbsent) },
        { 400, """{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}""", nameof(OutcomeKind.ModelAbsent) },
        { 400, """{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***"}""", nameof(OutcomeKind.BadCredentials) },

        // A prompt that is repeated in the text does not decide over a backend.
        { 400, """{"error":{"message":"Unexpected: 'The model `x` does not exist'","code":null}}""", nameof(OutcomeKind.CallerFault) },
        { 400, """{"error":{"message":"slow","code":"rate_limit_exceeded"}}""", nameof(OutcomeKind.CallerFault) },

        // Cut off: what was readable counts.
        { 429, """{"error":{"code":"insufficient_quota","message":"You exc""", nameof(OutcomeKind.QuotaExhausted) },
        { 200, """{"error":{"code":503,"message":"x"}}""", nameof(OutcomeKind.Overloaded) },
    };

    public static TheoryData<string, string> Events => new()
    {
        { """{"error":{"message":"x","type":"server_error","code":null}}""", nameof(OutcomeKind.InBandError) },
        { """{"error":{"message":"x","code":429}}""", nameof(OutcomeKind.RateLimited) },
        { """{"error":{"message":"x","code":"429"}}""", nameof(OutcomeKind.RateLimited) },
        { """{"object":"error","message":"x","code":503}""", nameof(OutcomeKind.Overloaded) },
        { """{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}""", nameof(OutcomeKind.Overloaded) },
        { """{"type":"error","code":"rate_limit_exceeded","message":"x","sequence_number":1}""", nameof(OutcomeKind.RateLimited) },
        { """{"type":"response.failed","response":{"id":"r","status":"failed","output":[{"a":[]}],"error":{"code":"insufficient_quota","message":"x"},"usage":null}}""", nameof(OutcomeKind.QuotaExhausted) },
        { """{"error":{"code":"context_length_exceeded"}}""", nameof(OutcomeKind.ContextTooLong) },
        { """{"error":{"code":400,"message":"This model's maximum context length is 8"}}""", nameof(OutcomeKind.ContextTooLong) },
        { """{"error":{"code":"content_filter"}}""", nameof(OutcomeKind.ContentFiltered) },
        { """{"error":"model 'x' not found"}""", nameof(OutcomeKind.ModelAbsent) },
        { """{"error":{"code":1e99}}""", nameof(OutcomeKind.InBandError) },
        { "upstream connect error", nameof(OutcomeKind.InBandError) },
        { "", nameof(OutcomeKind.InBandError) },
    };

    [Theory]
    [MemberData(nameof(Errors))]
    public void Classify_RealServersErrors_GetTheirClass(int status, string body, string expected)
    {
        var kind = ErrorClassifier.Classify(status, Encoding.UTF8.GetBytes(body), out var detail);

        Assert.Equal(expected, kind.ToString());
        Assert.StartsWith(status.ToString(System.Globalization.CultureInfo.InvariantCulture), detail, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Events))]
    public void ClassifyInBand_ErrorEvents_GetTheirClass(string json, string expected) =>
        Assert.Equal(expected, ErrorClassifier.ClassifyInBand(Encoding.UTF8.GetBytes(json), out _).ToString());

    [Theory]
    [InlineData("""{"error":{"message":"secret","type":"tokens","code":"rate_limit_exceeded"}}""", "429 rate_limit_exceeded tokens")]
    [InlineData("""{"error":{"message":"secret","type":"a","code":"a","status":429}}""", "429 a")]
    [InlineData("""{"error":{"code":503,"innererror":{"code":"Inner","innererror":{"code":"Innermost"}}}}""", "429 503 Innermost")]
    [InlineData("""{"error":"secret","type":"a secret sentence","code":"sécret"}""", "429")]
    [InlineData("", "429")]
    public void Classify_Detail_HasCodesAndNoText(string body, string expected)
    {
        ErrorClassifier.Classify(429, Encoding.UTF8.GetBytes(body), out var detail);

        Assert.Equal(expected, detail);
    }

    [Fact]
    public void Classify_LongCodes_KeepTheDetailShort()
    {
        var word = new string('a', 64);
        ErrorClassifier.Classify(400, Encoding.UTF8.GetBytes($$$"""{"code":"{{{word}}}","type":"b{{{word[1..]}}}","status":"c{{{word[1..]}}}","innererror":{"code":"{{{word}}}"}}"""), out var detail);
        ErrorClassifier.Classify(400, Encoding.UTF8.GetBytes($$"""{"code":"{{word}}a"}"""), out var tooLong);

        Assert.Equal(200, detail.Length);
        Assert.Equal("400", tooLong);
    }

    [Fact]
    public void ClassifyInBand_NothingToSay_SaysError()
    {
        ErrorClassifier.ClassifyInBand("{}"u8, out var detail);

        Assert.Equal("error", detail);
    }
}
