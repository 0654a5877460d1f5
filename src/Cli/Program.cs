using Roadbalancer.Cli;
using Roadbalancer.Cli.Display;

return await CommandTree.RunAsync(args, Terminal.OfProcess(), TimeProvider.System);
