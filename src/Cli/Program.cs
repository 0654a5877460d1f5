await Console.Error.WriteLineAsync("roadbalancer: the command line is not built yet; steer the balancer by its configuration file.");
return 2;
