// Unity: the predictions of a session, in the game's own thread.
//
//     mimamba serve
//
// Put this script on an object, and name a session. Other scripts read Share, or listen to Predicted.
// It needs Unity 2022.3 or newer with the package com.unity.nuget.newtonsoft-json. A service on
// another machine wants a token, see Token; mimamba is not a medical device.

using System;
using System.Collections.Concurrent;
using System.IO;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json.Linq;
using UnityEngine;

public class MimambaStream : MonoBehaviour
{
    public string Service = "ws://127.0.0.1:8765/v1/stream";
    public string Session = "simulate-1";
    public string Output = "valence";
    public string Label = "high";
    public string Token = "";

    /// <summary>Probability of the label, 0 to 1; null while the model abstains.</summary>
    public float? Share { get; private set; }

    /// <summary>Why there is no probability, for people.</summary>
    public string Reason { get; private set; } = "Connecting";

    public event Action<float?, string> Predicted;

    private readonly ConcurrentQueue<JObject> received = new ConcurrentQueue<JObject>();
    private CancellationTokenSource stop;

    private void OnEnable()
    {
        stop = new CancellationTokenSource();
        _ = Task.Run(() => Follow(stop.Token));
    }

    private void OnDisable()
    {
        stop.Cancel();
    }

    private void Update()
    {
        while (received.TryDequeue(out var message))
        {
            var type = (string)message["type"];
            if (type == "prediction")
            {
                Share = (float?)message.SelectToken($"outputs.{Output}.{Label}");
                Reason = (string)message["reason"] ?? "";
                Predicted?.Invoke(Share, Reason);
            }
            else if (type == "error")
            {
                Debug.LogWarning($"mimamba: {(string)message["message"]}");
            }
        }
    }

    /// <summary>Connects again and again until the object is disabled.</summary>
    private async Task Follow(CancellationToken token)
    {
        while (!token.IsCancellationRequested)
        {
            try
            {
                using var socket = new ClientWebSocket();
                await socket.ConnectAsync(new Uri(Service), token);
                if (Token != "")
                    await Send(socket, new JObject { ["type"] = "auth", ["token"] = Token }, token);
                var topics = new JArray("prediction");
                var wanted = new JObject { ["type"] = "subscribe", ["session"] = Session, ["topics"] = topics };
                await Send(socket, wanted, token);
                while (socket.State == WebSocketState.Open)
                    received.Enqueue(JObject.Parse(await Receive(socket, token)));
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception error) when (error is WebSocketException || error is IOException)
            {
                var lost = new JObject { ["type"] = "prediction", ["reason"] = error.Message };
                received.Enqueue(lost);
            }
            await Task.Delay(1000, CancellationToken.None);
        }
    }

    private static Task Send(ClientWebSocket socket, JObject message, CancellationToken token)
    {
        var bytes = new ArraySegment<byte>(Encoding.UTF8.GetBytes(message.ToString()));
        return socket.SendAsync(bytes, WebSocketMessageType.Text, true, token);
    }

    /// <summary>One message, which may come in several parts.</summary>
    private static async Task<string> Receive(ClientWebSocket socket, CancellationToken token)
    {
        var buffer = new ArraySegment<byte>(new byte[8192]);
        using var whole = new MemoryStream();
        while (true)
        {
            var part = await socket.ReceiveAsync(buffer, token);
            if (part.MessageType == WebSocketMessageType.Close)
                throw new WebSocketException(part.CloseStatusDescription ?? "The service closed the connection.");
            whole.Write(buffer.Array, 0, part.Count);
            if (part.EndOfMessage)
                return Encoding.UTF8.GetString(whole.ToArray());
        }
    }
}
