// Alerts over what the program logs. Its lines arrive through the Functions host as JSON in AppTraces; the numbers are the events' ids.
// What to do when one fires: docs/deploy.md.
// After Azure/bicep-registry-modules avm/res/insights/scheduled-query-rule/main.bicep and avm/res/insights/action-group/main.bicep.

@description('Begins the name of each rule.')
param namePrefix string

@description('Region of the rules.')
param location string

@description('Tags on rules and action group.')
param tags object

@description('Workspace that the rules query.')
param workspaceId string

@description('Who is told, by e-mail.')
param emails array

@description('Share of requests answered with 5xx that raises the alert, in percent.')
param errorPercent int

resource recipients 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: namePrefix
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'roadbalancer'
    enabled: true
    emailReceivers: [for (email, index) in emails: {
      name: 'recipient-${index}'
      emailAddress: email
      useCommonAlertSchema: true
    }]
  }
}

var rules = [
  {
    // 3003: a request went to a backend that was out, because all were.
    name: 'no-healthy-backend'
    text: 'Every backend is out: requests go to the least bad one, or fail.'
    severity: 0
    lookback: 'PT5M'
    query: 'AppTraces | where Message startswith "{" | extend line = parse_json(Message) | where toint(line.event) == 3003 | project TimeGenerated, Message'
  }
  {
    // At least 20 requests, so that one failure at night is not a share of a hundred percent.
    name: 'error-ratio'
    text: 'Too large a share of requests is answered with 5xx.'
    severity: 1
    lookback: 'PT15M'
    query: 'AppRequests | where OperationName == "OpenAi" | summarize requests = sum(ItemCount), failed = sumif(ItemCount, toint(ResultCode) >= 500) | where requests >= 20 and failed * 100.0 / requests > ${errorPercent}'
  }
  {
    // 2120 without 2121 after it (2160 and 2161 where consistency is relaxed), on an instance that is still at work.
    name: 'fallback-active'
    text: 'An instance decides from its own memory, because Redis does not serve.'
    severity: 2
    lookback: 'P1D'
    query: 'AppTraces | where Message startswith "{" | extend line = parse_json(Message) | extend event = toint(line.event) | where event in (2120, 2121, 2160, 2161) | summarize arg_max(TimeGenerated, event) by AppRoleInstance | where event in (2120, 2160) | join kind=inner (AppRequests | where TimeGenerated > ago(15m) | distinct AppRoleInstance) on AppRoleInstance | project AppRoleInstance'
  }
  {
    // 2003: a backend answered 401 or 403 to its own key.
    name: 'bad-credentials'
    text: 'A backend refuses the key configured for it and is left alone until that changes.'
    severity: 2
    lookback: 'PT15M'
    query: 'AppTraces | where Message startswith "{" | extend line = parse_json(Message) | where toint(line.event) == 2003 | project TimeGenerated, Message'
  }
]

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: '${namePrefix}-${rule.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${namePrefix}-${rule.name}'
    description: rule.text
    severity: rule.severity
    enabled: true
    autoMitigate: true
    // The tables appear with the first telemetry, which is after the rules.
    skipQueryValidation: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: rule.lookback
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        recipients.id
      ]
    }
  }
}]
