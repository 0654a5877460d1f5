// What azd up deploys: from azd's environment, so that nothing of a deployment is in the repository. The three ROADBALANCER_ values are JSON:
//   azd env set ROADBALANCER_BACKENDS '[{"url":"https://api.openai.com","api_key":"env:OPENAI_KEY"}]'
//   azd env set ROADBALANCER_CLIENT_KEYS '["team-a=env:TEAM_A_KEY"]'
//   azd env set ROADBALANCER_SECRETS '{"OPENAI_KEY":"openai-key","TEAM_A_KEY":"team-a-key"}'
using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param principalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
param backends = json(readEnvironmentVariable('ROADBALANCER_BACKENDS', '[]'))
param clientKeys = json(readEnvironmentVariable('ROADBALANCER_CLIENT_KEYS', '[]'))
param secretSettings = json(readEnvironmentVariable('ROADBALANCER_SECRETS', '{}'))
