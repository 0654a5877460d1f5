// The official Node client against a base URL, one scenario a run: node client.mjs BASE_URL KEY SCENARIO [MODEL].
// Prints one JSON object: what the scenario saw, or {"error":{…}} with what the client raised.
import OpenAI from 'openai';

const [baseURL, apiKey, scenario, model = 'demo'] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const messages = [{ role: 'user', content: 'Good morning' }];

/** Reads a chat stream to its end; what came before an error is kept in `seen`. */
async function readStream(seen) {
  const stream = await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    seen.chunks += 1;
    seen.text += chunk.choices[0]?.delta?.content ?? '';
    seen.finish = chunk.choices[0]?.finish_reason ?? seen.finish;
    seen.usage = chunk.usage ?? seen.usage;
  }
  seen.ended = true;
  return seen;
}

const seen = { chunks: 0, text: '', finish: null, usage: null, ended: false };

const scenarios = {
  async models() {
    const ids = [];
    for await (const found of client.models.list()) ids.push(found.id);
    return { ids };
  },

  async model() {
    return { id: (await client.models.retrieve(model)).id };
  },

  async chat() {
    const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
    return { text: data.choices[0].message.content, finish: data.choices[0].finish_reason, usage: data.usage, backend: response.headers.get('x-backend') };
  },

  stream: () => readStream(seen),

  async tool() {
    const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } }];
    const { choices } = await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Use a tool' }], tools });
    const [call] = choices[0].message.tool_calls;
    return { name: call.function.name, arguments: call.function.arguments, finish: choices[0].finish_reason };
  },

  async embed() {
    // Without encoding_format this client asks for base64 and decodes it.
    const { data, usage } = await client.embeddings.create({ model, input: ['one', 'two', 'one'] });
    return { lengths: data.map((item) => item.embedding.length), same: data[0].embedding.join() === data[2].embedding.join(), tokens: usage.prompt_tokens };
  },

  async completion() {
    const answer = await client.completions.create({ model, prompt: 'Good morning' });
    return { text: answer.choices[0].text, tokens: answer.usage.completion_tokens };
  },

  async response() {
    const answer = await client.responses.create({ model, input: 'Good morning' });
    return { text: answer.output_text, status: answer.status, tokens: answer.usage.output_tokens };
  },

  async responseStream() {
    const stream = await client.responses.create({ model, input: 'Good morning', stream: true });
    for await (const event of stream) {
      seen.text += event.type === 'response.output_text.delta' ? event.delta : '';
      seen.finish = event.type === 'response.completed' ? event.response.status : seen.finish;
    }
    return seen;
  },
};

try {
  console.log(JSON.stringify(await scenarios[scenario]()));
} catch (error) {
  const { name, message } = error;
  console.log(JSON.stringify({
    error: { kind: error.constructor.name, name, message, status: error.status ?? null, code: error.code ?? null, requestId: error.requestID ?? null },
    seen,
  }));
}
